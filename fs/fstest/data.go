package fstest

import (
	"bytes"
	"math/rand/v2"
	"strings"

	"garrison/sentry/limits"
	"garrison/sentry/linux"
	"garrison/sentry/usermem"
	"garrison/sentry/vfs"
)

var dataTests = []test{
	{"offsets", 0, offsets},
	{"append", 0, appends},
	{"modes", 0, modes},
	{"truncate", 0, truncates},
	{"sparse", 0, sparse},
	{"holes", NoHoles, holes},
	{"allocate", NoAllocate, allocate},
	{"punch", NoPunch, punch},
	{"random", 0, random},
	{"fsize", 0, fsize},
	{"fault", 0, fault},
	{"large", 0, large},
}

func seq(s string) usermem.Seq { return usermem.FromBytes([]byte(s)) }

func (e *env) wrote(n int64, err error) {
	e.Helper()
	if err != nil {
		e.Fatal(err)
	}
	_ = n
}

func (e *env) pread(d *vfs.FileDescription, n int, off int64) string {
	e.Helper()
	b := make([]byte, n)
	m, err := d.ReadAt(e.c, usermem.FromBytes(b), off)
	if err != nil {
		e.Fatal(err)
	}
	return string(b[:m])
}

func offsets(e *env) {
	d := e.open("/f", linux.O_CREAT|linux.O_RDWR, 0o644)
	defer d.Release(e.c)
	e.wrote(d.Write(e.c, seq("0123456789")))
	n, err := d.Seek(e.c, 0, linux.SEEK_CUR)
	e.want("seek", err, nil)
	e.equal("offset", n, int64(10))
	e.wrote(d.WriteAt(e.c, seq("XY"), 3))
	e.equal("offset", d.Offset(), int64(10))
	e.equal("pread", e.pread(d, 4, 2), "2XY5")
	e.equal("pread at the end", e.pread(d, 4, 10), "")
	e.equal("pread beyond", e.pread(d, 4, 1000), "")
	for _, x := range []struct {
		off    int64
		whence int
		want   int64
		err    error
	}{
		{-3, linux.SEEK_END, 7, nil}, {2, linux.SEEK_CUR, 9, nil}, {5, linux.SEEK_SET, 5, nil},
		{-1, linux.SEEK_SET, 0, linux.EINVAL}, {-100, linux.SEEK_END, 0, linux.EINVAL}, {0, 7, 0, linux.EINVAL},
		{100, linux.SEEK_END, 110, nil}, {0, linux.SEEK_SET, 0, nil},
	} {
		n, err := d.Seek(e.c, x.off, x.whence)
		e.want("seek", err, x.err)
		if err == nil {
			e.equal("seek", n, x.want)
		}
	}
	e.equal("all", e.readAll(d), "012XY56789")
	_, err = d.ReadAt(e.c, seq("x"), -1)
	e.want("pread -1", err, linux.EINVAL)
	_, err = d.WriteAt(e.c, seq("x"), -1)
	e.want("pwrite -1", err, linux.EINVAL)
}

func appends(e *env) {
	e.write("/f", "one ")
	d := e.open("/f", linux.O_WRONLY|linux.O_APPEND, 0)
	defer d.Release(e.c)
	x := e.open("/f", linux.O_WRONLY, 0)
	defer x.Release(e.c)
	e.wrote(d.Write(e.c, seq("two ")))
	x.Seek(e.c, 0, linux.SEEK_END)
	e.wrote(x.Write(e.c, seq("three ")))
	e.wrote(d.Write(e.c, seq("four ")))
	e.wrote(d.WriteAt(e.c, seq("five"), 0)) // O_APPEND wins, as on Linux
	e.equal("content", e.read("/f"), "one two three four five")
	e.want("setfl", d.SetFlags(e.c, 0), nil)
	d.Seek(e.c, 0, 0)
	e.wrote(d.Write(e.c, seq("ONE")))
	e.equal("content", e.read("/f"), "ONE two three four five")
}

func modes(e *env) {
	e.write("/f", "text")
	r, w := e.open("/f", linux.O_RDONLY, 0), e.open("/f", linux.O_WRONLY, 0)
	p := e.open("/f", linux.O_PATH, 0)
	for _, d := range []*vfs.FileDescription{r, w, p} {
		defer d.Release(e.c)
	}
	_, err := r.Write(e.c, seq("x"))
	e.want("write to read-only", err, linux.EBADF)
	_, err = w.Read(e.c, seq("x"))
	e.want("read from write-only", err, linux.EBADF)
	_, err = p.Read(e.c, seq("x"))
	e.want("read from path", err, linux.EBADF)
	_, err = p.Seek(e.c, 0, 0)
	e.want("seek path", err, linux.EBADF)
	e.want("truncate read-only", r.Truncate(e.c, 0), linux.EINVAL)
	_, err = p.Attr(e.c)
	e.want("stat path", err, nil)
	e.want("sync", w.Sync(e.c, false), nil)
}

func truncates(e *env) {
	e.write("/f", strings.Repeat("abcdefgh", 2000))
	p := e.resolve("/f", 0)
	defer p.Drop()
	e.want("truncate", vfs.Truncate(e.c, p, 5000), nil)
	e.equal("size", e.attr("/f").Size, int64(5000))
	e.want("truncate", vfs.Truncate(e.c, p, 9000), nil)
	got := e.read("/f")
	e.equal("len", len(got), 9000)
	e.equal("kept", got[:5000], strings.Repeat("abcdefgh", 625))
	e.equal("zero", got[5000:], strings.Repeat("\x00", 4000))
	e.want("negative", vfs.Truncate(e.c, p, -1), linux.EINVAL)
	e.mkdir("/d")
	d := e.resolve("/d", 0)
	defer d.Drop()
	e.want("dir", vfs.Truncate(e.c, d, 0), linux.EISDIR)
	e.want("zero", vfs.Truncate(e.c, p, 0), nil)
	e.equal("empty", e.read("/f"), "")
}

func sparse(e *env) {
	d := e.open("/f", linux.O_CREAT|linux.O_RDWR, 0o644)
	defer d.Release(e.c)
	const far = 5<<30 + 12345
	e.wrote(d.WriteAt(e.c, seq("far"), far))
	a := e.attr("/f")
	e.equal("size", a.Size, int64(far+3))
	if a.Blocks*512 > 1<<20 {
		e.Fatalf("%d blocks", a.Blocks)
	}
	e.equal("hole", e.pread(d, 4, 1<<30), "\x00\x00\x00\x00")
	e.equal("edge", e.pread(d, 10, far-4), "\x00\x00\x00\x00far")
	e.wrote(d.WriteAt(e.c, seq("near"), 4094))
	e.equal("near", e.pread(d, 6, 4093), "\x00near\x00")
}

func holes(e *env) {
	d := e.open("/f", linux.O_CREAT|linux.O_RDWR, 0o644)
	defer d.Release(e.c)
	const m = 1 << 20
	e.wrote(d.WriteAt(e.c, seq("x"), 2*m))
	e.want("truncate", d.Truncate(e.c, 4*m), nil)
	n, err := d.Seek(e.c, 0, linux.SEEK_DATA)
	e.want("data", err, nil)
	if n > 2*m || n < m {
		e.Fatal(n)
	}
	n, err = d.Seek(e.c, 2*m, linux.SEEK_HOLE)
	e.want("hole", err, nil)
	if n <= 2*m || n > 3*m {
		e.Fatal(n)
	}
	n, err = d.Seek(e.c, 0, linux.SEEK_HOLE)
	e.want("hole", err, nil)
	e.equal("hole", n, int64(0))
	_, err = d.Seek(e.c, 3*m, linux.SEEK_DATA)
	e.want("no data", err, linux.ENXIO)
	_, err = d.Seek(e.c, 4*m, linux.SEEK_HOLE)
	e.want("beyond", err, linux.ENXIO)
}

func allocate(e *env) {
	d := e.open("/f", linux.O_CREAT|linux.O_RDWR, 0o644)
	defer d.Release(e.c)
	e.want("keep", d.Allocate(e.c, linux.FALLOC_FL_KEEP_SIZE, 0, 100000), nil)
	e.equal("size", e.attr("/f").Size, int64(0))
	e.want("grow", d.Allocate(e.c, 0, 10, 50000), nil)
	e.equal("size", e.attr("/f").Size, int64(50010))
	if b := e.attr("/f").Blocks * 512; b < 50000 {
		e.Fatal(b)
	}
	e.want("mode", d.Allocate(e.c, linux.FALLOC_FL_PUNCH_HOLE, 0, 1), linux.EOPNOTSUPP)
	e.want("len", d.Allocate(e.c, 0, 0, 0), linux.EINVAL)
	r := e.open("/f", linux.O_RDONLY, 0)
	defer r.Release(e.c)
	e.want("read-only", r.Allocate(e.c, 0, 0, 1), linux.EBADF)
}

func punch(e *env) {
	d := e.open("/f", linux.O_CREAT|linux.O_RDWR, 0o644)
	defer d.Release(e.c)
	text := strings.Repeat("0123456789abcdef", 4096) // 64 KiB
	e.wrote(d.Write(e.c, seq(text)))
	before := e.attr("/f").Blocks
	const mode = linux.FALLOC_FL_PUNCH_HOLE | linux.FALLOC_FL_KEEP_SIZE
	e.want("punch", d.Allocate(e.c, mode, 5000, 30000), nil)
	want := text[:5000] + strings.Repeat("\x00", 30000) + text[35000:]
	e.equal("content", e.read("/f") == want, true)
	if after := e.attr("/f").Blocks; after >= before {
		e.Fatal(before, after)
	}
	e.want("within a page", d.Allocate(e.c, mode, 40001, 5), nil)
	want = want[:40001] + "\x00\x00\x00\x00\x00" + want[40006:]
	e.equal("content", e.read("/f") == want, true)
}

// random compares with a model, in memory.
func random(e *env) {
	d := e.open("/f", linux.O_CREAT|linux.O_RDWR, 0o644)
	defer d.Release(e.c)
	var model []byte
	rnd := rand.New(rand.NewPCG(1, 2))
	grow := func(n int) {
		if n > len(model) {
			model = append(model, make([]byte, n-len(model))...)
		}
	}
	for range 400 {
		off, n := rnd.IntN(200000), rnd.IntN(20000)
		switch rnd.IntN(4) {
		case 0:
			b := bytes.Repeat([]byte{byte(rnd.Int())}, n)
			e.wrote(d.WriteAt(e.c, usermem.FromBytes(b), int64(off)))
			if n > 0 {
				grow(off + n)
				copy(model[off:], b)
			}
		case 1:
			e.want("truncate", d.Truncate(e.c, int64(off)), nil)
			grow(off)
			model = model[:off:off]
		default:
			got := e.pread(d, n, int64(off))
			want := ""
			if off < len(model) {
				want = string(model[off:min(off+n, len(model))])
			}
			if got != want {
				e.Fatalf("pread %d at %d differs", n, off)
			}
		}
	}
	e.equal("all", e.read("/f") == string(model), true)
}

func fsize(e *env) {
	l := e.c.Limits.Get(limits.FSize)
	e.c.Limits.Set(limits.FSize, limits.Limit{Cur: 100, Max: l.Max})
	d := e.open("/f", linux.O_CREAT|linux.O_RDWR, 0o644)
	defer d.Release(e.c)
	n, err := d.Write(e.c, usermem.FromBytes(make([]byte, 150)))
	e.want("partial", err, nil)
	e.equal("partial", n, int64(100))
	_, err = d.Write(e.c, seq("x"))
	e.want("full", err, linux.EFBIG)
	e.equal("signal", e.c.Raised(linux.SIGXFSZ), true)
	e.want("truncate", d.Truncate(e.c, 101), linux.EFBIG)
	e.wrote(d.WriteAt(e.c, seq("y"), 99))
	e.equal("size", e.attr("/f").Size, int64(100))
}

// fault reads and writes with buffers that are not all there.
func fault(e *env) {
	d := e.open("/f", linux.O_CREAT|linux.O_RDWR, 0o644)
	defer d.Release(e.c)
	e.wrote(d.Write(e.c, seq("0123456789")))
	bad := usermem.One(usermem.Bytes(make([]byte, 4)), 0, 8)
	_, err := d.ReadAt(e.c, usermem.One(usermem.Bytes(nil), 0, 8), 0)
	e.want("read", err, linux.EFAULT)
	_, err = d.ReadAt(e.c, usermem.One(usermem.Bytes(nil), 0, 8), 10)
	e.want("read at the end", err, nil)
	n, err := d.ReadAt(e.c, bad, 0)
	e.want("part", err, nil)
	e.equal("part", n, int64(4))
	_, err = d.WriteAt(e.c, usermem.One(usermem.Bytes(nil), 0, 8), 0)
	e.want("write", err, linux.EFAULT)
	n, err = d.WriteAt(e.c, usermem.One(usermem.Bytes("abcd"), 0, 8), 0)
	e.want("part", err, nil)
	e.equal("part", n, int64(4))
	e.equal("content", e.read("/f"), "abcd456789")
}

func large(e *env) {
	d := e.open("/f", linux.O_CREAT|linux.O_RDWR, 0o644)
	defer d.Release(e.c)
	b := make([]byte, 3<<20+7)
	rnd := rand.New(rand.NewPCG(3, 4))
	for i := range b {
		b[i] = byte(rnd.Uint32())
	}
	n, err := d.Write(e.c, usermem.FromBytes(b))
	e.want("write", err, nil)
	e.equal("write", n, int64(len(b)))
	e.equal("content", e.read("/f") == string(b), true)
}
