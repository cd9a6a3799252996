package loader

import (
	"crypto/rand"
	"encoding/binary"

	"golang.org/x/sys/unix"

	"garrison/platform/arch"
	"garrison/sentry/limits"
	"garrison/sentry/linux"
	"garrison/sentry/mm"
)

const (
	maxString  = 32 * arch.PageSize // MAX_ARG_STRLEN, with its NUL
	argsMin    = 128 << 10          // ARG_MAX: what there is room for in any case
	argsMax    = 6 << 20            // three quarters of the usual stack
	stackExtra = 128 << 10          // what the stack has at first beyond the arguments
	platformID = "x86_64"
	clockTicks = 100
	randomSize = 16
)

// checkStrings is E2BIG if argv and envp are more than a program may be given.
func (b *builder) checkStrings() error {
	limit := max(min(b.s.Limit(limits.Stack)/4, argsMax), argsMin)
	pointers := uint64(max(len(b.a.Argv), 1)+len(b.a.Envp)) * 8
	if limit <= pointers {
		return linux.E2BIG
	}
	limit -= pointers
	total := uint64(len(b.p.Name) + 1)
	for _, l := range [][]string{b.a.Argv, b.a.Envp} {
		for _, s := range l {
			if len(s) >= maxString {
				return linux.E2BIG
			}
			total += uint64(len(s) + 1)
		}
	}
	if total > limit {
		return linux.E2BIG
	}
	return nil
}

// A stackImage is the initial stack, built from its end downwards.
type stackImage struct {
	top arch.Addr // the address after the last byte
	b   []byte    // the bytes so far, last first
}

func (s *stackImage) sp() arch.Addr { return s.top - arch.Addr(len(s.b)) }

// push puts x below what is there and returns its address.
func (s *stackImage) push(x []byte) arch.Addr {
	for i := len(x) - 1; i >= 0; i-- {
		s.b = append(s.b, x[i])
	}
	return s.sp()
}

func (s *stackImage) pushString(x string) arch.Addr { return s.push(append([]byte(x), 0)) }

func (s *stackImage) align(n arch.Addr) { s.push(make([]byte, s.sp()%n)) }

// bytes is the image in the order of addresses.
func (s *stackImage) bytes() []byte {
	out := make([]byte, len(s.b))
	for i, c := range s.b {
		out[len(out)-1-i] = c
	}
	return out
}

// buildStack maps the stack with what elf(5) and getauxval(3) promise on it
// and returns the stack pointer. base is the interpreter's bias.
func (b *builder) buildStack(main placed, base arch.Addr) (arch.Addr, error) {
	s := &stackImage{top: b.layout.StackStart}
	s.push(make([]byte, 8)) // a null pointer ends the stack
	execfn := s.pushString(b.p.Name)
	var ok bool
	var envp, argv []uint64
	if envp, b.layout.Env, ok = pushStrings(s, b.a.Envp); !ok {
		return 0, linux.EINVAL
	}
	if argv, b.layout.Args, ok = pushStrings(s, b.a.Argv); !ok {
		return 0, linux.EINVAL
	}
	s.align(16)
	if b.random {
		s.push(make([]byte, b.rnd64()%8192&^15))
	}
	platform := s.pushString(platformID)
	var seed [randomSize]byte
	rand.Read(seed[:]) //nolint:errcheck // it never fails
	random := s.push(seed[:])
	s.align(16)

	b.layout.Auxv = b.auxv(main, base, execfn, platform, random)
	words := append([]uint64{uint64(len(argv))}, argv...)
	words = append(append(append(words, 0), envp...), 0)
	for _, a := range b.layout.Auxv {
		words = append(words, a.Type, a.Value)
	}
	if len(words)%2 != 0 {
		s.push(make([]byte, 8)) // keep the stack pointer a multiple of 16
	}
	raw := make([]byte, 0, len(words)*8)
	for _, w := range words {
		raw = binary.LittleEndian.AppendUint64(raw, w)
	}
	sp := s.push(raw)
	if err := b.mapStack(s); err != nil {
		return 0, err
	}
	b.layout.StackStart = sp
	return sp, nil
}

// pushStrings pushes list so that its strings follow each other, and returns
// their addresses and the range of all.
func pushStrings(s *stackImage, list []string) (at []uint64, r arch.Range, ok bool) {
	r.End = s.sp()
	at = make([]uint64, len(list))
	for i := len(list) - 1; i >= 0; i-- {
		at[i] = uint64(s.pushString(list[i]))
	}
	r.Start = s.sp()
	return at, r, r.Start <= r.End
}

// mapStack maps the stack and copies the image out.
func (b *builder) mapStack(s *stackImage) error {
	size := uint64(s.top-s.sp()) + stackExtra
	if lim := b.s.Limit(limits.Stack); size > lim {
		size = max(lim, uint64(s.top-s.sp()))
	}
	start := (s.top - arch.Addr(size)).Down()
	end, _ := s.top.Up()
	rights := linux.PROT_READ | linux.PROT_WRITE
	if b.p.elf.execStack || b.a.Personality&linux.READ_IMPLIES_EXEC != 0 {
		rights |= linux.PROT_EXEC
	}
	_, err := b.s.MMap(mm.MMapOpts{
		Addr: start, Length: uint64(end - start), Prot: rights,
		Flags: linux.MAP_PRIVATE | linux.MAP_ANONYMOUS | linux.MAP_FIXED | linux.MAP_GROWSDOWN,
	})
	if err != nil {
		return err
	}
	if _, err := b.s.CopyOut(s.sp(), s.bytes()); err != nil {
		return linux.ENOMEM
	}
	return nil
}

// auxv is the auxiliary vector, in Linux's order.
func (b *builder) auxv(main placed, base, execfn, platform, random arch.Addr) []linux.AuxEntry {
	a, h := b.a, &b.p.elf.header
	secure := uint64(0)
	if a.Secure {
		secure = 1
	}
	var v []linux.AuxEntry
	add := func(t, x uint64) { v = append(v, linux.AuxEntry{Type: t, Value: x}) }
	if b.layout.VDSO != 0 {
		add(linux.AT_SYSINFO_EHDR, uint64(b.layout.VDSO))
	}
	hwcap := a.HWCap
	if hwcap == 0 {
		hwcap = hostAux(linux.AT_HWCAP)
	}
	if a.MinSigStack != 0 {
		add(linux.AT_MINSIGSTKSZ, a.MinSigStack)
	}
	add(linux.AT_HWCAP, hwcap)
	add(linux.AT_PAGESZ, arch.PageSize)
	add(linux.AT_CLKTCK, clockTicks)
	add(linux.AT_PHDR, uint64(main.bias)+b.p.elf.phdr)
	add(linux.AT_PHENT, phdrSize)
	add(linux.AT_PHNUM, uint64(h.Phnum))
	add(linux.AT_BASE, uint64(base))
	add(linux.AT_FLAGS, 0)
	add(linux.AT_ENTRY, uint64(main.bias)+h.Entry)
	add(linux.AT_UID, uint64(a.UID))
	add(linux.AT_EUID, uint64(a.EUID))
	add(linux.AT_GID, uint64(a.GID))
	add(linux.AT_EGID, uint64(a.EGID))
	add(linux.AT_SECURE, secure)
	add(linux.AT_RANDOM, uint64(random))
	add(linux.AT_HWCAP2, a.HWCap2)
	add(linux.AT_EXECFN, uint64(execfn))
	add(linux.AT_PLATFORM, uint64(platform))
	add(linux.AT_RSEQ_FEATURE_SIZE, linux.RseqFeatureSize)
	add(linux.AT_RSEQ_ALIGN, linux.RseqAlign)
	add(linux.AT_NULL, 0)
	return v
}

// hostAux is an entry of the sentry's own auxiliary vector.
func hostAux(t uint64) uint64 {
	aux, err := unix.Auxv()
	if err != nil {
		return 0
	}
	for _, a := range aux {
		if uint64(a[0]) == t {
			return uint64(a[1])
		}
	}
	return 0
}
