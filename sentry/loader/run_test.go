package loader

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"garrison/platform"
	"garrison/platform/arch"
	"garrison/platform/ptrace"
	"garrison/sentry/limits"
	"garrison/sentry/linux"
	"garrison/sentry/mm"
	"garrison/sentry/mm/mmtest"
	"garrison/sentry/usermem"
)

// A tinyKernel runs one program with as few system calls as programs that print
// something get along with.
type tinyKernel struct {
	t      *testing.T
	s      *mm.Space
	memo   mm.FaultMemo
	out    bytes.Buffer
	code   uint64
	done   bool
	trace  []uint64
	faults int
}

func errno(err error) uint64 {
	if e, ok := err.(linux.Errno); ok {
		return uint64(-int64(e))
	}
	return 0
}

func (k *tinyKernel) value(v uint64, err error) uint64 {
	if err != nil {
		return errno(err)
	}
	return v
}

func (k *tinyKernel) syscall(r *arch.Regs) uint64 {
	nr, a := r.Syscall()
	k.trace = append(k.trace, uint64(nr))
	switch nr {
	case unix.SYS_READ:
		n, err := usermem.One(k.s, arch.Addr(a[1]), a[2]).Each(arch.Write, func(p [][]byte) (int64, error) {
			n, err := unix.Readv(int(a[0]), p)
			return int64(n), err
		})
		return k.value(uint64(n), err)
	case unix.SYS_PREAD64:
		b := make([]byte, a[2])
		n, err := unix.Pread(int(a[0]), b, int64(a[3]))
		if err == nil {
			_, err = k.s.CopyOut(arch.Addr(a[1]), b[:n])
		}
		return k.value(uint64(n), err)
	case unix.SYS_WRITE:
		b := make([]byte, a[2])
		n, err := k.s.CopyIn(b, arch.Addr(a[1]))
		k.out.Write(b[:n])
		return k.value(uint64(n), err)
	case unix.SYS_WRITEV:
		iov, err := usermem.Ptr[[2]uint64](a[1]).LoadSlice(k.s, int(a[2]))
		n := 0
		for _, v := range iov {
			b := make([]byte, v[1])
			k.s.CopyIn(b, arch.Addr(v[0]))
			k.out.Write(b)
			n += len(b)
		}
		return k.value(uint64(n), err)
	case unix.SYS_OPENAT:
		name, err := usermem.CopyInString(k.s, arch.Addr(a[1]), 4096)
		if err != nil {
			return errno(err)
		}
		fd, err := unix.Open(name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		return k.value(uint64(fd), err)
	case unix.SYS_CLOSE:
		if a[0] > 2 {
			unix.Close(int(a[0]))
		}
		return 0
	case unix.SYS_FSTAT, unix.SYS_NEWFSTATAT:
		fd, out := a[0], a[1]
		if nr == unix.SYS_NEWFSTATAT {
			out = a[2]
		}
		var st unix.Stat_t
		err := unix.Fstat(int(fd), &st)
		if err == nil {
			b := make([]byte, 144)
			host := usermem.AsBytes(&st)
			copy(b, host)
			_, err = k.s.CopyOut(arch.Addr(out), b)
		}
		return k.value(0, err)
	case unix.SYS_MMAP:
		o := mm.MMapOpts{Addr: arch.Addr(a[0]), Length: a[1], Prot: linux.Prot(a[2]), Flags: linux.MapFlags(a[3]), Offset: a[5]}
		if o.Flags&linux.MAP_ANONYMOUS == 0 {
			fd, err := unix.Dup(int(a[4]))
			if err != nil {
				return errno(err)
			}
			f := os.NewFile(uintptr(fd), "mapped")
			k.t.Cleanup(func() { f.Close() })
			o.File, o.MaxProt = &hostProgram{File: f}, linux.PROT_READ|linux.PROT_EXEC
		}
		at, err := k.s.MMap(o)
		return k.value(uint64(at), err)
	case unix.SYS_MPROTECT:
		return errno(k.s.Protect(arch.Addr(a[0]), a[1], linux.Prot(a[2])))
	case unix.SYS_MUNMAP:
		return errno(k.s.Unmap(arch.Addr(a[0]), a[1]))
	case unix.SYS_MREMAP:
		at, err := k.s.Remap(mm.RemapOpts{Addr: arch.Addr(a[0]), Old: a[1], New: a[2], Flags: linux.RemapFlags(a[3]), To: arch.Addr(a[4])})
		return k.value(uint64(at), err)
	case unix.SYS_MADVISE:
		return errno(k.s.Advise(arch.Addr(a[0]), a[1], linux.Advice(a[2])))
	case unix.SYS_MSYNC:
		return errno(k.s.Sync(arch.Addr(a[0]), a[1], linux.SyncFlags(a[2])))
	case unix.SYS_MSEAL:
		return errno(k.s.Seal(arch.Addr(a[0]), a[1], a[2]))
	case unix.SYS_REMAP_FILE_PAGES:
		return errno(k.s.RemapFilePages(arch.Addr(a[0]), a[1], a[3], linux.MapFlags(a[4])))
	case unix.SYS_MLOCK:
		return errno(k.s.Lock(arch.Addr(a[0]), a[1], false, true))
	case unix.SYS_MLOCK2:
		if a[2]&^1 != 0 {
			return errno(linux.EINVAL)
		}
		return errno(k.s.Lock(arch.Addr(a[0]), a[1], true, true))
	case unix.SYS_MUNLOCK:
		return errno(k.s.Unlock(arch.Addr(a[0]), a[1]))
	case unix.SYS_MLOCKALL:
		if a[0] == 0 {
			return errno(linux.EINVAL)
		}
		return errno(k.s.LockAll(int(a[0]), true))
	case unix.SYS_MUNLOCKALL:
		return errno(k.s.LockAll(0, true))
	case unix.SYS_MINCORE:
		v, err := k.s.Incore(arch.Addr(a[0]), a[1], nil)
		if err == nil && len(v) > 0 {
			_, err = k.s.CopyOut(arch.Addr(a[2]), v)
		}
		return k.value(0, err)
	case unix.SYS_BRK:
		return uint64(k.s.Brk(arch.Addr(a[0]), false))
	case unix.SYS_ARCH_PRCTL:
		if a[0] == 0x1002 { // ARCH_SET_FS
			r.FSBase = a[1]
			return 0
		}
		return errno(linux.EINVAL)
	case unix.SYS_EXIT, unix.SYS_EXIT_GROUP:
		k.done, k.code = true, a[0]
		return 0
	case unix.SYS_SET_TID_ADDRESS:
		return 1
	case unix.SYS_GETRANDOM:
		return a[1]
	}
	return errno(linux.ENOSYS)
}

// run runs the program at path under ptrace and returns what it printed.
func runProgram(t *testing.T, path string, argv ...string) *tinyKernel {
	t.Helper()
	p, err := ptrace.New(ptrace.Options{Pool: -1})
	if err != nil {
		t.Skip("ptrace:", err)
	}
	defer p.Release()
	f, err := mmtest.NewFile()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	env := mm.NewEnv(p, f)
	s, err := mm.New(env, limits.NewSet())
	if err != nil {
		t.Fatal(err)
	}
	vdso, err := NewVDSO(p.Facts(), f, false)
	if err != nil {
		t.Fatal(err)
	}
	prog, err := resolve(t, path, argv...)
	if err != nil {
		t.Fatal(err)
	}
	im, err := prog.Load(s, Args{Envp: []string{"PATH=/bin:/usr/bin", "LC_ALL=C"}, MinSigStack: 4096, VDSO: vdso})
	if err != nil {
		t.Fatal(err)
	}
	prog.Close()
	k := &tinyKernel{t: t, s: s}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		k.loop(p, im)
	}()
	<-ended
	if t.Failed() {
		for _, r := range s.Regions(false) {
			t.Logf("%x-%x %v %x %s", r.Start, r.End, r.Access, r.Offset, r.Name)
		}
	}
	s.DecUsers()
	env.Close()
	if n, _ := f.Usage(); n != 0 && vdso == nil {
		t.Errorf("%d bytes leaked", n)
	}
	return k
}

// loop is the life of the one task. Its thread is the tracer's, for good.
func (k *tinyKernel) loop(p platform.Platform, im Image) {
	runtime.LockOSThread()
	ctx := p.NewContext()
	defer ctx.Release()
	regs := arch.Regs{RIP: uint64(im.Entry), RSP: uint64(im.SP), RFLAGS: 0x202}
	for range 200000 {
		ev, err := ctx.Switch(k.s.AddressSpace(), &regs)
		if err != nil {
			k.t.Error(err)
			return
		}
		switch ev.Kind {
		case platform.Syscall:
			regs.SetReturn(k.syscall(&regs))
			if k.done {
				return
			}
		case platform.Fault:
			k.faults++
			if f := k.s.HandleFault(&ev, &k.memo); !f.Resolved {
				k.t.Errorf("fault %+v at ip %x: %+v; calls %v", ev, regs.RIP, f, k.trace)
				return
			}
		case platform.Interrupted:
		default:
			k.t.Errorf("event %+v at ip %x", ev, regs.RIP)
			return
		}
	}
	k.t.Error("the program does not end")
}

func TestRunHostProgram(t *testing.T) {
	k := runProgram(t, "/bin/echo", "echo", "hello", "world")
	if k.out.String() != "hello world\n" || k.code != 0 {
		t.Fatalf("%q, exit %d, calls %v", k.out.String(), k.code, k.trace)
	}
	t.Logf("%d calls, %d faults", len(k.trace), k.faults)
}

// TestRunMemory runs a C program that uses memory in every way that it has.
func TestRunMemory(t *testing.T) {
	compareRuns(t, "testdata/memory.c", "-static", "-static-pie", "-pie", "-no-pie")
}

// TestRunErrno compares results and errors, call by call.
func TestRunErrno(t *testing.T) { compareRuns(t, "testdata/errno.c", "-static") }

// compareRuns compiles a program in different ways and compares what it prints
// with what it prints natively.
func compareRuns(t *testing.T, source string, kinds ...string) {
	t.Helper()
	gcc, err := exec.LookPath("gcc")
	if err != nil {
		t.Skip("no C compiler")
	}
	for _, kind := range kinds {
		bin := filepath.Join(t.TempDir(), "memory")
		if out, err := exec.Command(gcc, "-O1", kind, "-o", bin, source).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		native, err := exec.Command(bin).CombinedOutput()
		if err != nil {
			t.Fatalf("natively: %v: %s", err, native)
		}
		k := runProgram(t, bin, bin)
		if k.out.String() != string(native) || k.code != 0 {
			t.Fatalf("%v: exit %d\n%s", kind, k.code, difference(string(native), k.out.String()))
		}
		t.Logf("%v: %d calls, %d faults", kind, len(k.trace), k.faults)
	}
}

// difference is the lines that differ, with - what is native.
func difference(native, ours string) string {
	a, b := strings.Split(native, "\n"), strings.Split(ours, "\n")
	var d strings.Builder
	for i := range max(len(a), len(b)) {
		x, y := "", ""
		if i < len(a) {
			x = a[i]
		}
		if i < len(b) {
			y = b[i]
		}
		if x != y {
			d.WriteString("-" + x + "\n+" + y + "\n")
		}
	}
	return d.String()
}
