package fuse

import (
	"bytes"
	"testing"

	"garrison/sentry/linux"
	"garrison/sentry/usermem"
	"garrison/sentry/vfs"
	"garrison/sentry/wait"
)

// A bench is a connection and its server's device.
type bench struct {
	*testing.T
	m *connection
	d *device
}

func newBench(t *testing.T) *bench {
	b := &bench{t, &connection{
		devices: map[*device]struct{}{}, sent: map[uint64]*request{}, inodes: map[uint64]*inode{}, polls: map[uint64]*poll{},
	}, &device{}}
	if !b.m.adopt(b.d) {
		t.Fatal("a new device is taken")
	}
	return b
}

// next reads a message.
func (b *bench) next() (linux.FuseInHeader, []byte) {
	b.Helper()
	buf := make([]byte, maxIO+4096)
	n, err := b.d.Read(nil, usermem.FromBytes(buf), 0)
	if err != nil {
		b.Fatal("read:", err)
	}
	size := sizeOf[linux.FuseInHeader]()
	h := decode[linux.FuseInHeader](buf[:size])
	if int64(h.Len) != n {
		b.Fatalf("a message of %d bytes says %d", n, h.Len)
	}
	return h, buf[size:n]
}

// none checks that there is nothing to read.
func (b *bench) none() {
	b.Helper()
	if _, err := b.d.Read(nil, usermem.FromBytes(make([]byte, 1<<21)), 0); err != linux.EAGAIN {
		b.Fatal("read:", err)
	}
}

// answer writes one, and checks what comes of it.
func (b *bench) answer(unique uint64, code int32, body []byte, want error) {
	b.Helper()
	h := linux.FuseOutHeader{Len: uint32(16 + len(body)), Error: code, Unique: unique}
	if _, err := b.d.Write(nil, usermem.FromBytes(append(raw(h), body...)), 0); err != want {
		b.Fatalf("answer to %d: %v, want %v", unique, err, want)
	}
}

// open lets the server agree to flags.
func (b *bench) open(o linux.FuseInitOut) {
	b.Helper()
	b.m.begin()
	h, body := b.next()
	in := decode[linux.FuseInitIn](body)
	if h.Op != linux.FUSE_INIT || in.Major != 7 || in.Minor < 31 || len(body) != 16 {
		b.Fatal(h, in)
	}
	b.answer(h.Unique, 0, raw(o), nil)
}

func TestNegotiation(t *testing.T) {
	for _, c := range []struct {
		out         linux.FuseInitOut
		phase       phase
		write, read int
		flags       uint32
	}{
		{linux.FuseInitOut{Major: 7, Minor: 31, MaxWrite: 1 << 20}, open, 128 << 10, 128 << 10, 0},
		{linux.FuseInitOut{Major: 7, Minor: 99, MaxWrite: 1, Flags: ^uint32(0), MaxPages: 9999}, open, 4096, maxIO, offered},
		{linux.FuseInitOut{Major: 7, Minor: 31, MaxWrite: 1 << 31, Flags: linux.FUSE_MAX_PAGES}, open, 4096, 4096, linux.FUSE_MAX_PAGES},
		{linux.FuseInitOut{Major: 7, Minor: 8}, refused, 0, 0, 0},
		{linux.FuseInitOut{Major: 6, Minor: 31}, refused, 0, 0, 0},
		{linux.FuseInitOut{Major: 8, Minor: 31}, refused, 0, 0, 0},
	} {
		b := newBench(t)
		b.open(c.out)
		if b.m.phase != c.phase || b.m.opened.Ready(wait.Readable) == 0 {
			t.Fatal(c.out, b.m.phase)
		}
		if x := b.m.agreed.Load(); x != nil && (x.maxWrite != c.write || x.maxRead != c.read || x.flags != c.flags) {
			t.Errorf("%+v: %+v", c.out, x)
		}
	}
}

func TestAnswers(t *testing.T) {
	b := newBench(t)
	b.open(linux.FuseInitOut{Major: 7, Minor: 31})
	ask := func() *request {
		r := ask(linux.FUSE_READ, 1, make([]byte, 40))
		r.fixed, r.extra = 4, 8
		b.m.post(nil, r)
		return r
	}
	for _, c := range []struct {
		code int32
		n    int
		want error // the writer's
		err  error // who asked's
	}{
		{0, 4, nil, nil}, {0, 12, nil, nil},
		{0, 3, linux.EINVAL, linux.EIO}, {0, 13, linux.EINVAL, linux.EIO},
		{-5, 0, nil, linux.EIO}, {-2, 0, nil, linux.ENOENT}, {-2, 1, linux.EINVAL, linux.EIO},
	} {
		r := ask()
		h, _ := b.next()
		b.answer(h.Unique, c.code, make([]byte, c.n), c.want)
		if !r.done.Load() || r.err != c.err || r.err == nil && len(r.reply) != c.n {
			t.Errorf("%+v: %v, %v, %d bytes", c, r.done.Load(), r.err, len(r.reply))
		}
		b.answer(h.Unique, 0, nil, linux.ENOENT) // once only
	}
	r := ask()
	b.answer(r.header.Unique, 0, make([]byte, 4), linux.ENOENT) // before it was read
	h, _ := b.next()
	b.answer(h.Unique, 1, nil, linux.EINVAL)
	b.answer(h.Unique, -512, nil, linux.EINVAL)
	other := &device{}
	b.m.adopt(other)
	if err := b.m.answered(other, linux.FuseOutHeader{Unique: h.Unique}, usermem.FromBytes(nil)); err != linux.ENOENT {
		t.Error("answered by a device that has not read it:", err)
	}
	b.m.detach(b.d)
	if r.err != linux.ECONNABORTED || b.m.phase != open {
		t.Error("what a closed device had read:", r.err, b.m.phase)
	}
	b.m.detach(other)
	if b.m.phase != ended || b.m.enqueue(ask()) != linux.ENOTCONN {
		t.Error("the last device is closed:", b.m.phase)
	}
}

// TestShortReader: a request that its reader has no room for is not given to the next.
func TestShortReader(t *testing.T) {
	b := newBench(t)
	b.open(linux.FuseInitOut{Major: 7, Minor: 31})
	long := ask(linux.FUSE_SETXATTR, 1, make([]byte, 10000))
	b.m.post(nil, long)
	short := ask(linux.FUSE_GETATTR, 1)
	b.m.post(nil, short)
	buf := make([]byte, linux.FUSE_MIN_READ_BUFFER)
	n, err := b.d.Read(nil, usermem.FromBytes(buf), 0)
	if err != nil || decode[linux.FuseInHeader](buf[:n]).Op != linux.FUSE_GETATTR || long.err != linux.E2BIG {
		t.Fatal(n, err, long.err)
	}
	if _, err := b.d.Read(nil, usermem.FromBytes(buf[1:]), 0); err != linux.EINVAL {
		t.Fatal(err)
	}
}

func TestForgets(t *testing.T) {
	b := newBench(t)
	b.open(linux.FuseInitOut{Major: 7, Minor: 31})
	const many = 3*maxForgets + 5
	for i := range uint64(many) {
		b.m.forget(i+2, 1)
		b.m.forget(i+2, 2)
	}
	for range 3 {
		b.m.post(nil, ask(linux.FUSE_GETATTR, 1))
	}
	told, asked := map[uint64]uint64{}, 0
	for len(told) < many || asked < 3 {
		switch h, body := b.next(); h.Op {
		case linux.FUSE_BATCH_FORGET:
			n := int(decode[linux.FuseBatchForgetIn](body).Count)
			if len(body) != 8+16*n {
				t.Fatal(n, len(body))
			}
			for i := range n {
				f := decode[linux.FuseForget](body[8+16*i:])
				told[f.Node] += f.Lookups
			}
		case linux.FUSE_FORGET:
			told[h.Node] += decode[linux.FuseForgetIn](body).Lookups
		default:
			asked++
		}
	}
	for node, n := range told {
		if n != 3 {
			t.Error(node, n)
		}
	}
	b.none()
	// Those that come all the time do not keep requests waiting.
	b.m.post(nil, ask(linux.FUSE_GETATTR, 1))
	for i := range uint64(2 * forgetsInRow) {
		b.m.forget(i+2, 1)
		if h, _ := b.next(); h.Op == linux.FUSE_GETATTR {
			return
		}
	}
	t.Error("the request was never given")
}

// TestAbandoned: what nobody waits for is not asked, or given back when it is answered,
// and forgotten if there is too much of it.
func TestAbandoned(t *testing.T) {
	b := newBench(t)
	b.open(linux.FuseInitOut{Major: 7, Minor: 31})
	late := 0
	lookup := func() *request {
		r := ask(linux.FUSE_LOOKUP, 1)
		r.waited, r.then = true, func([]byte, error) { late++ }
		if err := b.m.enqueue(r); err != nil {
			t.Fatal(err)
		}
		return r
	}
	if r := lookup(); !b.m.abandon(r) {
		t.Fatal("not under way")
	}
	b.none()
	r := lookup()
	h, _ := b.next()
	b.m.interrupt(r)
	if x, body := b.next(); x.Op != linux.FUSE_INTERRUPT || decode[linux.FuseInterruptIn](body).Unique != h.Unique {
		t.Fatal(x)
	}
	b.answer(h.Unique|1, -int32(linux.EAGAIN), nil, nil)
	if x, _ := b.next(); x.Op != linux.FUSE_INTERRUPT {
		t.Fatal("EAGAIN asks for the interrupt again:", x)
	}
	b.m.abandon(r)
	b.answer(h.Unique, 0, nil, nil)
	if late != 1 || b.m.abandoned != 0 {
		t.Fatal(late, b.m.abandoned)
	}
	for range maxAbandoned + 10 {
		r := lookup()
		b.next()
		b.m.abandon(r)
	}
	if len(b.m.sent) != maxAbandoned || b.m.abandoned != maxAbandoned {
		t.Error(len(b.m.sent), b.m.abandoned)
	}
	b.m.end(linux.ENODEV)
	if len(b.m.sent) != 0 || b.m.abandoned != 0 {
		t.Error("after the end:", len(b.m.sent), b.m.abandoned)
	}
}

// TestPollFlood: a server that says again and again that a file has changed is asked once
// at a time.
func TestPollFlood(t *testing.T) {
	b := newBench(t)
	b.open(linux.FuseInitOut{Major: 7, Minor: 31})
	f := b.m.newInode(6, 0, linux.S_IFREG).opened(0, &linux.FuseOpenOut{}).(*file)
	f.poll.name(b.m)
	tell := func() {
		for range 100 {
			b.answer(0, linux.FUSE_NOTIFY_POLL, raw(linux.FuseNotifyPollOut{KH: f.poll.handle.Load()}), nil)
		}
	}
	tell()
	for range 2 { // once, and once more as it has changed since
		h, _ := b.next()
		if h.Op != linux.FUSE_POLL {
			t.Fatal(h)
		}
		b.answer(h.Unique, 0, raw(linux.FusePollOut{Revents: uint32(wait.In)}), nil)
	}
	b.none()
	if f.poll.Ready(wait.In|wait.Out) != wait.In {
		t.Fatal(f.poll.events.Load())
	}
}

// direntry is an entry of a listing.
func direntry(plus bool, s string, off uint64) []byte {
	b := raw(linux.FuseDirent{Ino: 9, Off: off, Namelen: uint32(len(s)), Type: 8})
	b = append(b, s...)
	if plus {
		b = append(raw(linux.FuseEntryOut{Node: 7, Attr: linux.FuseAttr{Mode: uint32(linux.S_IFREG)}}), b...)
	}
	return append(b, make([]byte, -len(b)&7)...)
}

func TestListing(t *testing.T) {
	b := newBench(t)
	i := b.m.newInode(1, 0, linux.S_IFDIR)
	for _, plus := range []bool{false, true} {
		all := slicesOf(direntry(plus, "one", 1), direntry(plus, "second", 1<<63-1), direntry(plus, "3", 0))
		out, err := i.parse(all[:len(all)-7], plus, b.m.passOver)
		if err != nil || len(out) != 3 || out[0].Name != "one" || out[1].Name != "second" || out[0].Next != 3 || out[1].Next <= 0 {
			t.Fatal(out, err)
		}
		if cookie(out[0].Next) != 1 {
			t.Fatal(cookie(out[0].Next))
		}
		out, err = i.parse(all[:len(all)-8], plus, b.m.passOver)
		if err != nil || len(out) != 2 {
			t.Fatal("cut off:", out, err)
		}
		for _, s := range []string{"", "a/b", "a\x00b", string(bytes.Repeat([]byte{'x'}, linux.FUSE_NAME_MAX+1))} {
			if _, err := i.parse(direntry(plus, s, 1), plus, b.m.passOver); err != linux.EIO {
				t.Errorf("%q: %v", s, err)
			}
		}
	}
}

func slicesOf(b ...[]byte) []byte { return bytes.Join(b, nil) }

func FuzzListing(f *testing.F) {
	f.Add(slicesOf(direntry(false, "a", 1), direntry(false, "bc", 2)), false)
	f.Add(slicesOf(direntry(true, "a", 1), direntry(true, "bc", 2)), true)
	f.Fuzz(func(t *testing.T, data []byte, plus bool) {
		b := newBench(t)
		i := b.m.newInode(1, 0, linux.S_IFDIR)
		told := uint64(0)
		out, _ := i.parse(data, plus, func(s string, e *linux.FuseEntryOut) {
			told++
			i.ahead(s, e)
		})
		for _, e := range out {
			if e.Name == "" || len(e.Name) > linux.NAME_MAX || e.Next < vfs.FirstEntry || bytes.ContainsAny([]byte(e.Name), "/\x00") {
				t.Fatalf("%+v", e)
			}
		}
		// What is held at the end is known, and given back.
		i.forgetNames()
		if len(b.m.inodes) != 0 || b.m.names.Load() != 0 {
			t.Fatal(len(b.m.inodes), "inodes and", b.m.names.Load(), "names are left of", told)
		}
	})
}

// FuzzWrite: whatever a server writes, requests are answered once, and nothing else comes
// of it.
func FuzzWrite(f *testing.F) {
	f.Add(raw(linux.FuseOutHeader{Len: 16, Unique: 4}))
	f.Add(append(raw(linux.FuseOutHeader{Len: 16 + 128, Unique: 4}), raw(linux.FuseEntryOut{Node: 3})...))
	for code, body := range map[int32][]byte{
		linux.FUSE_NOTIFY_POLL:        raw(linux.FuseNotifyPollOut{KH: 1}),
		linux.FUSE_NOTIFY_INVAL_INODE: raw(linux.FuseInvalInodeOut{Node: 5}),
		linux.FUSE_NOTIFY_INVAL_ENTRY: append(raw(linux.FuseInvalEntryOut{Parent: 5, Namelen: 1}), 'a', 0),
		linux.FUSE_NOTIFY_DELETE:      append(raw(linux.FuseDeleteOut{Parent: 5, Namelen: 1}), 'a', 0),
		linux.FUSE_NOTIFY_STORE:       append(raw(linux.FuseStoreOut{Node: 6, Size: 1}), 'a'),
		linux.FUSE_NOTIFY_RETRIEVE:    raw(linux.FuseRetrieveOut{Unique: 4, Node: 6}),
	} {
		f.Add(append(raw(linux.FuseOutHeader{Len: uint32(16 + len(body)), Error: code}), body...))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		b := newBench(t)
		b.open(linux.FuseInitOut{Major: 7, Minor: 31})
		for id, typ := range map[uint64]linux.FileMode{5: linux.S_IFDIR, 6: linux.S_IFREG} {
			i := b.m.newInode(id, 0, typ)
			i.refs = 1
			b.m.inodes[id] = i
		}
		r := ask(linux.FUSE_LOOKUP, 5, name("x"))
		r.fixed = sizeOf[linux.FuseEntryOut]()
		r.then = func(reply []byte, err error) {
			if e := decode[linux.FuseEntryOut](reply); err == nil {
				if i, err := b.m.found(&e, anyVersion); err == nil {
					i.Drop()
				}
			}
		}
		b.m.post(nil, r)
		b.next()
		n, err := b.d.Write(nil, usermem.FromBytes(data), 0)
		if err == nil && n != int64(len(data)) || err != nil && n != 0 {
			t.Fatal(n, err)
		}
		if len(b.m.inodes) != 2 || b.m.inodes[5].refs != 1 || b.m.inodes[6].refs != 1 {
			t.Fatal("inodes are not as they were")
		}
	})
}
