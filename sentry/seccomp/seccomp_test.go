package seccomp

import (
	"math/rand/v2"
	"slices"
	"testing"

	"garrison/sentry/linux"
)

// i1 is an instruction, jump one with two ends.
func i1(code uint16, k uint32) linux.SockFilter { return linux.SockFilter{Code: code, K: k} }

func jump(code uint16, k uint32, jt, jf uint8) linux.SockFilter {
	return linux.SockFilter{Code: code, JT: jt, JF: jf, K: k}
}

const (
	ld, ldi, ldm, ldx, st, stx = 0x20, 0x00, 0x60, 0x01, 0x02, 0x03
	ja, jeq, ret, retA, divX   = 0x05, 0x15, 0x06, 0x16, 0x3c
	tax, jset                  = 0x07, 0x45

	allow = linux.SECCOMP_RET_ALLOW
	kill  = linux.SECCOMP_RET_KILL_PROCESS
)

type prog = []linux.SockFilter

func TestCheck(t *testing.T) {
	long := make(prog, linux.BPF_MAXINSNS+1)
	for i := range long {
		long[i] = i1(ret, allow)
	}
	for name, c := range map[string]struct {
		p  prog
		ok bool
	}{
		"least":                       {prog{i1(ret, 0)}, true},
		"empty":                       {prog{}, false},
		"longest":                     {long[1:], true},
		"too long":                    {long, false},
		"no return":                   {prog{i1(ldi, 0)}, false},
		"jump at the end":             {prog{i1(ja, 0)}, false},
		"RET X":                       {prog{i1(0x0e, 0)}, false},
		"last word":                   {prog{i1(ld, 60), i1(retA, 0)}, true},
		"beyond the data":             {prog{i1(ld, 64), i1(retA, 0)}, false},
		"unaligned":                   {prog{i1(ld, 2), i1(retA, 0)}, false},
		"half word":                   {prog{i1(0x28, 0), i1(retA, 0)}, false},
		"byte":                        {prog{i1(0x30, 0), i1(retA, 0)}, false},
		"indirect":                    {prog{i1(0x40, 0), i1(retA, 0)}, false},
		"MSH":                         {prog{i1(0xb1, 0), i1(retA, 0)}, false},
		"MOD":                         {prog{i1(0x94, 3), i1(retA, 0)}, false},
		"MOD X":                       {prog{i1(0x9c, 3), i1(retA, 0)}, false},
		"XOR":                         {prog{i1(0xa4, 3), i1(retA, 0)}, true},
		"divide by zero":              {prog{i1(0x34, 0), i1(retA, 0)}, false},
		"divide by X":                 {prog{i1(divX, 0), i1(retA, 0)}, true},
		"shift by 31":                 {prog{i1(0x64, 31), i1(retA, 0)}, true},
		"shift by 32":                 {prog{i1(0x74, 32), i1(retA, 0)}, false},
		"memory not written":          {prog{i1(ldm, 0), i1(retA, 0)}, false},
		"memory written":              {prog{i1(st, 3), i1(ldm, 3), i1(retA, 0)}, true},
		"other memory":                {prog{i1(st, 3), i1(ldm, 4), i1(retA, 0)}, false},
		"beyond the memory":           {prog{i1(st, 16), i1(retA, 0)}, false},
		"written one way":             {prog{jump(jeq, 0, 0, 1), i1(st, 0), i1(ldm, 0), i1(retA, 0)}, false},
		"written both ways":           {prog{jump(jeq, 0, 0, 2), i1(st, 0), i1(ja, 1), i1(stx, 0), i1(ldm, 0), i1(retA, 0)}, true},
		"jump over the end":           {prog{i1(ja, 1), i1(ret, 0)}, false},
		"jump to the end":             {prog{i1(ja, 0), i1(ret, 0)}, true},
		"jump around":                 {prog{i1(ja, 0xffffffff), i1(ret, 0)}, false},
		"branch over the end":         {prog{jump(jeq, 0, 0, 1), i1(ret, 0)}, false},
		"the other, over the end":     {prog{jump(jeq, 0, 1, 0), i1(ret, 0)}, false},
		"a code of more than 8 bits":  {prog{i1(0x0106, 0)}, false},
		"LD LEN":                      {prog{i1(0x80, 0), i1(retA, 0)}, true},
		"unreachable, and not a call": {prog{i1(ret, 0), i1(0xff, 0), i1(ret, 0)}, false},
	} {
		p, err := New(c.p)
		if (err == nil) != c.ok || err != nil && err != linux.EINVAL {
			t.Errorf("%s: %v", name, err)
		}
		if err == nil && !slices.Equal(p.Source(), c.p) {
			t.Errorf("%s: the source is %v", name, p.Source())
		}
	}
}

// TestCodes: of all codes, those and only those that Linux has in its list.
func TestCodes(t *testing.T) {
	var got []int
	for code := range 0x10000 {
		// The constant is a valid one for all; the memory has been written.
		p := prog{i1(st, 0), {Code: uint16(code)}, i1(ret, 0)}
		if code == 0x34 {
			p[1].K = 1
		}
		if _, err := New(p); err == nil {
			got = append(got, code)
		}
	}
	want := []int{0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x0c, 0x14, 0x15, 0x16, 0x1c, 0x1d, 0x20, 0x24, 0x25, 0x2c, 0x2d, 0x34, 0x35,
		0x3c, 0x3d, 0x44, 0x45, 0x4c, 0x4d, 0x54, 0x5c, 0x60, 0x61, 0x64, 0x6c, 0x74, 0x7c, 0x80, 0x81, 0x84, 0x87, 0xa4, 0xac}
	if !slices.Equal(got, want) {
		t.Errorf("accepted are %#x", got)
	}
}

func compile(t testing.TB, p ...linux.SockFilter) *Program {
	t.Helper()
	x, err := New(p)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

var sample = NewData(257, linux.AUDIT_ARCH_X86_64, 0x1122334455667788, &[6]uint64{0: 0x0102030405060708, 5: 0xf0f0f0f0e1e1e1e1})

func TestRun(t *testing.T) {
	for name, c := range map[string]struct {
		p    prog
		want uint32
	}{
		"number":         {prog{i1(ld, 0), i1(retA, 0)}, 257},
		"arch":           {prog{i1(ld, 4), i1(retA, 0)}, linux.AUDIT_ARCH_X86_64},
		"ip":             {prog{i1(ld, 8), i1(retA, 0)}, 0x55667788},
		"ip, high":       {prog{i1(ld, 12), i1(retA, 0)}, 0x11223344},
		"argument":       {prog{i1(ld, 16), i1(retA, 0)}, 0x05060708},
		"argument, high": {prog{i1(ld, 20), i1(retA, 0)}, 0x01020304},
		"last argument":  {prog{i1(ld, 60), i1(retA, 0)}, 0xf0f0f0f0},
		"at first":       {prog{i1(retA, 0)}, 0},
		"length":         {prog{i1(0x80, 0), i1(retA, 0)}, 64},
		"length, X":      {prog{i1(0x81, 0), i1(0x87, 0), i1(retA, 0)}, 64},
		"add":            {prog{i1(ldi, 0xffffffff), i1(0x04, 3), i1(retA, 0)}, 2},
		"sub":            {prog{i1(ldi, 1), i1(0x14, 3), i1(retA, 0)}, 0xfffffffe},
		"sub X":          {prog{i1(ldi, 7), i1(ldx, 3), i1(0x1c, 0), i1(retA, 0)}, 4},
		"mul":            {prog{i1(ldi, 1<<20), i1(0x24, 1<<12), i1(retA, 0)}, 0},
		"div":            {prog{i1(ldi, 0xffffffff), i1(0x34, 2), i1(retA, 0)}, 0x7fffffff},
		"div by zero":    {prog{i1(ldi, 9), i1(divX, 0), i1(ret, allow)}, 0},
		"div by X":       {prog{i1(ldi, 9), i1(ldx, 2), i1(divX, 0), i1(retA, 0)}, 4},
		"neg":            {prog{i1(ldi, 1), i1(0x84, 0), i1(retA, 0)}, 0xffffffff},
		"shift by X":     {prog{i1(ldi, 1), i1(ldx, 33), i1(0x6c, 0), i1(retA, 0)}, 2},
		"shift right":    {prog{i1(ldi, 0x80000000), i1(0x74, 31), i1(retA, 0)}, 1},
		"or and xor":     {prog{i1(ldi, 0xf0), i1(0x44, 0x0f), i1(0x54, 0x3c), i1(0xa4, 0xff), i1(retA, 0)}, 0xc3},
		"memory":         {prog{i1(ldi, 5), i1(st, 15), i1(ldx, 6), i1(stx, 0), i1(ldm, 0), i1(0x61, 15), i1(0x0c, 0), i1(retA, 0)}, 11},
		"equal":          {prog{i1(ld, 0), jump(jeq, 257, 1, 0), i1(ret, 1), i1(ret, 2)}, 2},
		"not equal":      {prog{i1(ld, 0), jump(jeq, 258, 1, 0), i1(ret, 1), i1(ret, 2)}, 1},
		"not greater":    {prog{i1(ld, 0), jump(0x25, 257, 1, 0), i1(ret, 1), i1(ret, 2)}, 1},
		"or equal":       {prog{i1(ld, 0), jump(0x35, 257, 1, 0), i1(ret, 1), i1(ret, 2)}, 2},
		"unsigned":       {prog{i1(ldi, 0xffffffff), jump(0x25, 1, 1, 0), i1(ret, 1), i1(ret, 2)}, 2},
		"a bit":          {prog{i1(ld, 0), jump(jset, 0x101, 1, 0), i1(ret, 1), i1(ret, 2)}, 2},
		"no bit":         {prog{i1(ld, 0), jump(jset, 0x20, 1, 0), i1(ret, 1), i1(ret, 2)}, 1},
		"equal X":        {prog{i1(ld, 0), i1(tax, 0), jump(0x1d, 9, 1, 0), i1(ret, 1), i1(ret, 2)}, 2},
		"jump":           {prog{i1(ja, 1), i1(ret, 1), i1(ret, 2)}, 2},
	} {
		if got := compile(t, c.p...).Run(&sample); got != c.want {
			t.Errorf("%s: %#x, want %#x", name, got, c.want)
		}
	}
}

func constant(v uint32) *Program {
	p, _ := New(prog{i1(ret, v)})
	return p
}

// TestPrecedence: of two programs the stricter one counts, of equals the later one.
func TestPrecedence(t *testing.T) {
	order := []uint32{
		linux.SECCOMP_RET_KILL_PROCESS, linux.SECCOMP_RET_KILL_THREAD, linux.SECCOMP_RET_TRAP, linux.SECCOMP_RET_ERRNO,
		linux.SECCOMP_RET_USER_NOTIF, linux.SECCOMP_RET_TRACE, linux.SECCOMP_RET_LOG, linux.SECCOMP_RET_ALLOW,
	}
	for i, a := range order {
		for j, b := range order {
			var f *Filter
			lower, _ := f.Push(constant(a | 1))
			f, _ = lower.Push(constant(b | 2))
			want, by := b|2, f
			if i < j {
				want, by = a|1, lower
			}
			if i == len(order)-1 && j == i {
				want, by = linux.SECCOMP_RET_ALLOW, nil
			}
			if v, who := f.Run(&sample); v != want || who != by {
				t.Errorf("%#x below %#x: %#x", a, b, v)
			}
		}
	}
}

func TestTooMany(t *testing.T) {
	var f *Filter
	long := make(prog, 4096)
	for i := range long {
		long[i] = i1(ret, allow)
	}
	p := compile(t, long...)
	n := 0
	for err := error(nil); ; n++ {
		var next *Filter
		if next, err = f.Push(p); err != nil {
			if err != linux.ENOMEM {
				t.Fatal(err)
			}
			break
		}
		f = next
	}
	if n != 7 || f.Depth() != 7 { // with what each counts besides, eight are too long
		t.Errorf("%d programs", n)
	}
}

func TestAllows(t *testing.T) {
	for name, c := range map[string]struct {
		p  prog
		nr uint32
		ok bool
	}{
		"all":                  {prog{i1(ret, allow)}, 5, true},
		"allowed, with data":   {prog{i1(ret, allow|7)}, 5, true},
		"logged":               {prog{i1(ret, linux.SECCOMP_RET_LOG)}, 5, false},
		"by number":            {prog{i1(ld, 0), jump(jeq, 5, 0, 1), i1(ret, allow), i1(ret, kill)}, 5, true},
		"another number":       {prog{i1(ld, 0), jump(jeq, 5, 0, 1), i1(ret, allow), i1(ret, kill)}, 6, false},
		"by arch":              {prog{i1(ld, 4), jump(jeq, linux.AUDIT_ARCH_X86_64, 1, 0), i1(ret, kill), i1(ret, allow)}, 6, true},
		"by argument":          {prog{i1(ld, 16), jump(jeq, 5, 0, 1), i1(ret, allow), i1(ret, kill)}, 5, false},
		"argument, no matter":  {prog{i1(ld, 16), jump(jeq, 5, 0, 1), i1(ret, allow), i1(ret, allow)}, 5, true},
		"by where":             {prog{i1(ld, 8), jump(jset, 1, 0, 1), i1(ret, allow), i1(ret, kill)}, 5, false},
		"what A was":           {prog{i1(ld, 16), jump(jeq, 5, 0, 1), i1(ld, 0), jump(jeq, 5, 0, 1), i1(ret, allow), i1(ret, kill)}, 5, false},
		"number once more":     {prog{i1(ld, 16), jump(jeq, 5, 0, 0), i1(ld, 0), jump(jeq, 5, 0, 1), i1(ret, allow), i1(ret, kill)}, 5, true},
		"through memory":       {prog{i1(ld, 0), i1(st, 0), i1(ldm, 0), jump(jeq, 5, 0, 1), i1(ret, allow), i1(ret, kill)}, 5, false},
		"returned":             {prog{i1(ldi, allow), i1(retA, 0)}, 5, true},
		"returned argument":    {prog{i1(ld, 16), i1(retA, 0)}, 5, false},
		"may divide by zero":   {prog{i1(ld, 16), i1(tax, 0), i1(divX, 0), i1(ret, allow)}, 5, false},
		"divides by the known": {prog{i1(ldx, 2), i1(divX, 0), i1(ret, allow)}, 5, true},
		"x32":                  {prog{i1(ld, 0), jump(0x35, 0x40000000, 0, 1), i1(ret, kill), i1(ret, allow)}, 5, true},
	} {
		p := compile(t, c.p...)
		if got := p.Allows(c.nr, linux.AUDIT_ARCH_X86_64); got != c.ok {
			t.Errorf("%s: %v", name, got)
		}
		f, _ := (*Filter)(nil).Push(p)
		for range 2 {
			if f.Allows(c.nr) != c.ok {
				t.Errorf("%s: the filter differs", name)
			}
		}
		if g, _ := f.Push(constant(kill)); g.Allows(c.nr) {
			t.Errorf("%s: allowed, though killed", name)
		}
		if g, _ := f.Push(constant(allow)); g.Allows(c.nr) != c.ok {
			t.Errorf("%s: another one on top changes it", name)
		}
		if f.Allows(1 << 20) {
			t.Errorf("%s: a number that is none", name)
		}
	}
}

// random is a program that New takes, of instructions that often matter.
func random(r *rand.Rand) prog {
	for {
		p := make(prog, 2+r.IntN(14))
		for i := range p {
			k := []uint32{0, 1, 4, 16, 5, allow, kill, r.Uint32()}[r.IntN(8)]
			p[i] = linux.SockFilter{Code: codes[r.IntN(int(ops))], JT: uint8(r.IntN(4)), JF: uint8(r.IntN(4)), K: k}
		}
		p[len(p)-1] = i1([]uint16{ret, retA}[r.IntN(2)], allow)
		if _, err := New(p); err == nil {
			return p
		}
	}
}

// TestAllowsIsSound: what is allowed without a look at the arguments is so with any.
func TestAllowsIsSound(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	allowed := 0
	for range 20_000 {
		src := random(r)
		p := compile(t, src...)
		nr := uint32(r.IntN(6))
		sure := p.Allows(nr, linux.AUDIT_ARCH_X86_64)
		if sure {
			allowed++
		}
		for range 8 {
			var args [6]uint64
			for i := range args {
				args[i] = []uint64{0, 1, 5, r.Uint64()}[r.IntN(4)]
			}
			d := NewData(nr, linux.AUDIT_ARCH_X86_64, r.Uint64(), &args)
			if v := p.Run(&d); sure && v&linux.SECCOMP_RET_ACTION_FULL != allow {
				t.Fatalf("call %d of %v: %#x", nr, src, v)
			}
		}
	}
	if allowed < 100 {
		t.Errorf("only %d programs allow anything", allowed)
	}
}

// FuzzRun: whatever New takes comes to an end, and Allows is right about it.
func FuzzRun(f *testing.F) {
	f.Add([]byte{ld, 0, 0, 0, 0, 0, 0, 0, retA, 0, 0, 0, 0, 0, 0, 0}, uint64(1))
	f.Fuzz(func(t *testing.T, b []byte, arg uint64) {
		var p prog
		for ; len(b) >= 8; b = b[8:] {
			p = append(p, linux.SockFilter{Code: uint16(b[0]) | uint16(b[1])<<8, JT: b[2], JF: b[3],
				K: uint32(b[4]) | uint32(b[5])<<8 | uint32(b[6])<<16 | uint32(b[7])<<24})
		}
		x, err := New(p)
		if err != nil {
			return
		}
		d := NewData(1, linux.AUDIT_ARCH_X86_64, arg, &[6]uint64{arg, arg, arg})
		if v := x.Run(&d); x.Allows(1, linux.AUDIT_ARCH_X86_64) && v&linux.SECCOMP_RET_ACTION_FULL != allow {
			t.Errorf("%v: %#x", p, v)
		}
	})
}

// chain is a filter as libraries write it: a comparison for each of n numbers.
func chain(n int) prog {
	p := prog{i1(ld, 0)}
	for i := range n {
		p = append(p, jump(jeq, uint32(1000+i), 0, 1), i1(ret, kill))
	}
	return append(p, i1(ret, allow))
}

func BenchmarkRun(b *testing.B) {
	p := compile(b, chain(100)...)
	for b.Loop() {
		p.Run(&sample)
	}
}

func BenchmarkAllows(b *testing.B) {
	p := compile(b, chain(100)...)
	for b.Loop() {
		p.Allows(257, linux.AUDIT_ARCH_X86_64)
	}
}
