package guest

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

const page = 4096

// mapMemory is mmap(2), unmapped with the test.
func mapMemory(t *testing.T, addr, n uintptr, prot, flags int, fd int, off int64) uintptr {
	t.Helper()
	p, err := call(unix.SYS_MMAP, addr, n, uintptr(prot), uintptr(flags), uintptr(fd), uintptr(off))
	ok(t, err)
	t.Cleanup(func() { call(unix.SYS_MUNMAP, p, n) })
	return p
}

const (
	rw   = unix.PROT_READ | unix.PROT_WRITE
	anon = unix.MAP_PRIVATE | unix.MAP_ANONYMOUS
)

// readable asks the kernel whether the byte at p can be read.
func readable(t *testing.T, p uintptr) bool {
	t.Helper()
	r, w := newPipe(t, unix.O_NONBLOCK)
	_, err := call(unix.SYS_WRITE, uintptr(w), p, 1)
	unix.Close(r)
	unix.Close(w)
	return err == nil
}

// TestMmapAgain maps the same part of a file twice, side by side: they stay two mappings,
// and each finds its page when the file has got one.
func TestMmapAgain(t *testing.T) {
	covers(t, "mmap")
	_, fd := file(t, "")
	p := mapMemory(t, 0, 8*page, unix.PROT_NONE, anon, -1, 0)
	for i, flags := range []int{unix.MAP_SHARED, unix.MAP_SHARED, unix.MAP_PRIVATE, unix.MAP_PRIVATE} {
		mapMemory(t, p+2*uintptr(i)*page, 2*page, rw, flags|unix.MAP_FIXED, fd, 0)
	}
	_, err := unix.Write(fd, []byte("first page"))
	ok(t, err)
	for i := range uintptr(4) {
		equal(t, "there is a page", readable(t, p+2*i*page), true)
		equal(t, "content", string(bytesAt(p+2*i*page, 10)), "first page")
		equal(t, "there is another", readable(t, p+(2*i+1)*page), false)
	}
}

// TestMmapTruncated touches what a file that is cut short still has of a hole: it is the
// file's, though there were no data yet.
func TestMmapTruncated(t *testing.T) {
	covers(t, "mmap", "ftruncate")
	const rest = 40 << 10
	for _, punch := range []bool{false, true} {
		_, fd := file(t, "")
		ok(t, unix.Ftruncate(fd, 1<<20))
		b := bytesAt(mapMemory(t, 0, 1<<20, rw, unix.MAP_SHARED, fd, 0), 1<<20)
		b[100<<10] = 'x'
		if punch {
			ok(t, unix.Fallocate(fd, unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, rest, 1<<20-rest))
		} else {
			ok(t, unix.Ftruncate(fd, rest))
		}
		copy(b[rest-page:], "stored")
		got := make([]byte, 6)
		_, err := unix.Pread(fd, got, rest-page)
		ok(t, err)
		equal(t, "read", string(got), "stored")
		_, other := file(t, "") // which gets no memory that the file still has
		ok(t, unix.Ftruncate(other, 1<<20))
		o := bytesAt(mapMemory(t, 0, 1<<20, rw, unix.MAP_SHARED, other, 0), 1<<20)
		for i := 0; i < len(o); i += page {
			o[i] = 'o'
		}
		equal(t, "still mapped", string(b[rest-page:rest-page+6]), "stored")
	}
}

func TestMmapAnonymous(t *testing.T) {
	covers(t, "mmap", "munmap")
	p := mapMemory(t, 0, 4*page, rw, anon, -1, 0)
	b := bytesAt(p, 4*page)
	for i := range b {
		if b[i] != 0 {
			t.Fatalf("byte %d is %d", i, b[i])
		}
	}
	b[page], b[4*page-1] = 1, 2
	_, err := call(unix.SYS_MUNMAP, p+page, 2*page)
	ok(t, err)
	equal(t, "before the hole", readable(t, p), true)
	equal(t, "in the hole", readable(t, p+page), false)
	equal(t, "after the hole", b[4*page-1], 2)
	q := mapMemory(t, p+page, page, rw, anon|unix.MAP_FIXED, -1, 0)
	equal(t, "fixed", q, p+page)
	equal(t, "fresh", bytesAt(q, page)[0], 0)
	_, err = call(unix.SYS_MMAP, p, page, rw, uintptr(anon|unix.MAP_FIXED_NOREPLACE), ^uintptr(0), 0)
	fails(t, err, unix.EEXIST)
	for _, c := range []struct {
		addr, n, prot, flags, fd, off uintptr
		errno                         error
	}{
		{0, 0, rw, anon, ^uintptr(0), 0, unix.EINVAL},
		{0, page, rw, unix.MAP_ANONYMOUS, ^uintptr(0), 0, unix.EINVAL},
		{1, page, rw, anon | unix.MAP_FIXED, ^uintptr(0), 0, unix.EINVAL},
		{0, page, rw, unix.MAP_PRIVATE, 999, 0, unix.EBADF},
		{0, page, rw, unix.MAP_PRIVATE, 0, 1, unix.EINVAL},
		{0, 1 << 47, rw, anon, ^uintptr(0), 0, unix.ENOMEM},
	} {
		_, err := call(unix.SYS_MMAP, c.addr, c.n, c.prot, c.flags, c.fd, c.off)
		if err != c.errno {
			t.Errorf("mmap(%#x, %#x, %#x, %#x, %d, %d): %v, want %v", c.addr, c.n, c.prot, c.flags, int(c.fd), c.off, err, c.errno)
		}
	}
	_, err = call(unix.SYS_MUNMAP, p+1, page)
	fails(t, err, unix.EINVAL)
	_, err = call(unix.SYS_MUNMAP, p, 0)
	fails(t, err, unix.EINVAL)
}

func TestMmapFile(t *testing.T) {
	covers(t, "mmap", "msync")
	name, fd := file(t, "hello, file")
	shared := bytesAt(mapMemory(t, 0, page, rw, unix.MAP_SHARED, fd, 0), page)
	private := bytesAt(mapMemory(t, 0, page, rw, unix.MAP_PRIVATE, fd, 0), page)
	equal(t, "content", string(shared[:11]), "hello, file")
	equal(t, "after the end", shared[11], 0)
	shared[0] = 'J'
	private[1] = '3'
	_, err := call(unix.SYS_MSYNC, addressOf(shared), page, unix.MS_SYNC)
	ok(t, err)
	got, err := os.ReadFile(name)
	ok(t, err)
	equal(t, "file", string(got), "Jello, file")
	equal(t, "private copy", string(private[1:5]), "3llo")
	_, err = unix.Pwrite(fd, []byte("W"), 7)
	ok(t, err)
	equal(t, "write seen in the mapping", shared[7], 'W')
	_, err = call(unix.SYS_MSYNC, addressOf(shared), page, unix.MS_SYNC|unix.MS_ASYNC)
	fails(t, err, unix.EINVAL)
	_, err = call(unix.SYS_MSYNC, addressOf(shared)+1, page, unix.MS_SYNC)
	fails(t, err, unix.EINVAL)
	_, err = call(unix.SYS_MSYNC, 16*page, page, unix.MS_SYNC)
	fails(t, err, unix.ENOMEM)
	ro, err := unix.Open(name, unix.O_RDONLY, 0)
	ok(t, err)
	closeLater(t, ro)
	_, err = call(unix.SYS_MMAP, 0, page, rw, unix.MAP_SHARED, uintptr(ro), 0)
	fails(t, err, unix.EACCES)
	wo, err := unix.Open(name, unix.O_WRONLY, 0)
	ok(t, err)
	closeLater(t, wo)
	_, err = call(unix.SYS_MMAP, 0, page, unix.PROT_READ, unix.MAP_PRIVATE, uintptr(wo), 0)
	fails(t, err, unix.EACCES)
	r, _ := newPipe(t, 0)
	_, err = call(unix.SYS_MMAP, 0, page, unix.PROT_READ, unix.MAP_PRIVATE, uintptr(r), 0)
	fails(t, err, unix.EACCES, unix.ENODEV)
}

func TestMprotect(t *testing.T) {
	covers(t, "mprotect", "pkey_mprotect")
	p := mapMemory(t, 0, 3*page, rw, anon, -1, 0)
	_, err := call(unix.SYS_MPROTECT, p+page, page, unix.PROT_NONE)
	ok(t, err)
	equal(t, "first page", readable(t, p), true)
	equal(t, "second page", readable(t, p+page), false)
	equal(t, "third page", readable(t, p+2*page), true)
	_, err = call(unix.SYS_MPROTECT, p, 3*page, unix.PROT_READ)
	ok(t, err)
	equal(t, "second page again", readable(t, p+page), true)
	_, err = unix.Pread(-1, nil, 0)
	fails(t, err, unix.EBADF)
	r, w := newPipe(t, 0)
	_, err = unix.Write(w, []byte("x"))
	ok(t, err)
	_, err = call(unix.SYS_READ, uintptr(r), p, 1) // the kernel may not write there either
	fails(t, err, unix.EFAULT)
	_, err = call(unix.SYS_MPROTECT, p+1, page, rw)
	fails(t, err, unix.EINVAL)
	_, err = call(unix.SYS_MPROTECT, p, page, 0x100)
	fails(t, err, unix.EINVAL)
	_, err = call(unix.SYS_MUNMAP, p+page, page)
	ok(t, err)
	_, err = call(unix.SYS_MPROTECT, p, 3*page, rw)
	fails(t, err, unix.ENOMEM)
	// pkey_mprotect without a key is mprotect.
	_, err = call(unix.SYS_PKEY_MPROTECT, p, page, unix.PROT_READ, ^uintptr(0))
	ok(t, err)
	_, err = call(unix.SYS_CLOCK_GETTIME, unix.CLOCK_MONOTONIC_RAW, p)
	fails(t, err, unix.EFAULT)
	_, err = call(unix.SYS_PKEY_MPROTECT, p, page, rw, ^uintptr(0))
	ok(t, err)
	bytesAt(p, page)[0] = 1
}

func TestMremap(t *testing.T) {
	covers(t, "mremap")
	p := mapMemory(t, 0, 8*page, rw, anon, -1, 0)
	bytesAt(p, page)[0] = 42
	q, err := call(unix.SYS_MREMAP, p, 8*page, 4*page, 0)
	ok(t, err)
	equal(t, "shrunk in place", q, p)
	equal(t, "the rest is gone", readable(t, p+4*page), false)
	q, err = call(unix.SYS_MREMAP, p, 4*page, 64*page, unix.MREMAP_MAYMOVE)
	ok(t, err)
	t.Cleanup(func() { call(unix.SYS_MUNMAP, q, 64*page) })
	b := bytesAt(q, 64*page)
	equal(t, "moved content", b[0], 42)
	b[64*page-1] = 7
	dst := mapMemory(t, 0, 64*page, rw, anon, -1, 0)
	r, err := call(unix.SYS_MREMAP, q, 64*page, 64*page, unix.MREMAP_MAYMOVE|unix.MREMAP_FIXED, dst)
	ok(t, err)
	equal(t, "fixed", r, dst)
	equal(t, "content", bytesAt(r, 64*page)[64*page-1], 7)
	equal(t, "the old place", readable(t, q), false)
	_, err = call(unix.SYS_MREMAP, r+1, page, page, 0)
	fails(t, err, unix.EINVAL)
	_, err = call(unix.SYS_MREMAP, r, page, 0, 0)
	fails(t, err, unix.EINVAL)
	_, err = call(unix.SYS_MREMAP, r, page, page, unix.MREMAP_FIXED)
	fails(t, err, unix.EINVAL)
	_, err = call(unix.SYS_MREMAP, 16*page, page, page, 0)
	fails(t, err, unix.EFAULT)
}

func TestMadvise(t *testing.T) {
	covers(t, "madvise")
	p := mapMemory(t, 0, 4*page, rw, anon, -1, 0)
	b := bytesAt(p, 4*page)
	b[0], b[page] = 1, 2
	_, err := call(unix.SYS_MADVISE, p, page, unix.MADV_DONTNEED)
	ok(t, err)
	equal(t, "forgotten", b[0], 0)
	equal(t, "kept", b[page], 2)
	for _, advice := range []uintptr{unix.MADV_NORMAL, unix.MADV_RANDOM, unix.MADV_SEQUENTIAL, unix.MADV_WILLNEED, unix.MADV_FREE, unix.MADV_DONTFORK, unix.MADV_DOFORK, unix.MADV_DONTDUMP} {
		if _, err := call(unix.SYS_MADVISE, p, page, advice); err != nil {
			t.Errorf("advice %d: %v", advice, err)
		}
	}
	_, err = call(unix.SYS_MADVISE, p, page, 9999)
	fails(t, err, unix.EINVAL)
	_, err = call(unix.SYS_MADVISE, p+1, page, unix.MADV_DONTNEED)
	fails(t, err, unix.EINVAL)
	_, err = call(unix.SYS_MADVISE, 16*page, page, unix.MADV_DONTNEED)
	fails(t, err, unix.ENOMEM)
	_, err = call(unix.SYS_MADVISE, p, 2*page, unix.MADV_POPULATE_WRITE)
	ok(t, err)
}

func TestMlock(t *testing.T) {
	covers(t, "mlock", "mlock2", "munlock", "mlockall", "munlockall")
	p := mapMemory(t, 0, 2*page, rw, anon, -1, 0)
	_, err := call(unix.SYS_MLOCK, p, 2*page)
	ok(t, err)
	_, err = call(unix.SYS_MUNLOCK, p, 2*page)
	ok(t, err)
	_, err = call(unix.SYS_MLOCK2, p, page, 1)
	ok(t, err)
	_, err = call(unix.SYS_MLOCK2, p, page, 2)
	fails(t, err, unix.EINVAL)
	_, err = call(unix.SYS_MLOCK, 16*page, page)
	fails(t, err, unix.ENOMEM)
	_, err = call(unix.SYS_MUNLOCK, 16*page, page)
	fails(t, err, unix.ENOMEM)
	_, err = call(unix.SYS_MLOCKALL, 0)
	fails(t, err, unix.EINVAL)
	_, err = call(unix.SYS_MLOCKALL, 8)
	fails(t, err, unix.EINVAL)
	_, err = call(unix.SYS_MLOCK, p, 2*page)
	ok(t, err)
	equal(t, "locked", procStatus(t)["VmLck"], "8 kB")
	ok(t, unix.Munlockall())
	equal(t, "after munlockall", procStatus(t)["VmLck"], "0 kB")
}

func TestMincore(t *testing.T) {
	covers(t, "mincore")
	p := mapMemory(t, 0, 4*page, rw, anon, -1, 0)
	bytesAt(p, page)[0] = 1
	vec := make([]byte, 4)
	_, err := call(unix.SYS_MINCORE, p, 4*page, ptr(&vec[0]))
	ok(t, err)
	equal(t, "touched", vec[0]&1, 1)
	_, err = call(unix.SYS_MINCORE, p+1, page, ptr(&vec[0]))
	fails(t, err, unix.EINVAL)
	_, err = call(unix.SYS_MINCORE, 16*page, page, ptr(&vec[0]))
	fails(t, err, unix.ENOMEM)
	_, err = call(unix.SYS_MINCORE, p, page, 8)
	fails(t, err, unix.EFAULT)
}

func TestBrk(t *testing.T) {
	covers(t, "brk")
	// Go never calls brk, so it may be moved about.
	now, err := call(unix.SYS_BRK, 0)
	ok(t, err)
	up, err := call(unix.SYS_BRK, now+3*page)
	ok(t, err)
	equal(t, "grown", up, now+3*page)
	b := bytesAt(now, 3*page)
	equal(t, "zero", b[3*page-1], 0)
	b[3*page-1] = 1
	same, err := call(unix.SYS_BRK, 8) // refused: answers where it is
	ok(t, err)
	equal(t, "refused", same, up)
	down, err := call(unix.SYS_BRK, now)
	ok(t, err)
	equal(t, "shrunk", down, now)
	equal(t, "gone", readable(t, (now+3*page-1)&^(page-1)), false)
}

func TestProcessVM(t *testing.T) {
	covers(t, "process_vm_readv", "process_vm_writev")
	p := mapMemory(t, 0, page, rw, anon, -1, 0) // memory that Go does not move
	src, dst := bytesAt(p, 13), bytesAt(p+100, 20)
	copy(src, "remote memory")
	local := unix.Iovec{Base: &dst[0], Len: 20}
	remote := unix.RemoteIovec{Base: addressOf(src), Len: len(src)}
	n, err := unix.ProcessVMReadv(os.Getpid(), []unix.Iovec{local}, []unix.RemoteIovec{remote}, 0)
	ok(t, err)
	equal(t, "read", string(dst[:n]), "remote memory")
	copy(dst, "REMOTE")
	local.Len = 6
	n, err = unix.ProcessVMWritev(os.Getpid(), []unix.Iovec{local}, []unix.RemoteIovec{remote}, 0)
	ok(t, err)
	equal(t, "written", string(src[:n]), "REMOTE")
	_, err = unix.ProcessVMReadv(os.Getpid(), []unix.Iovec{local}, []unix.RemoteIovec{remote}, 1)
	fails(t, err, unix.EINVAL)
	_, err = unix.ProcessVMReadv(1<<22-1, []unix.Iovec{local}, []unix.RemoteIovec{remote}, 0)
	fails(t, err, unix.ESRCH)
	_, err = unix.ProcessVMWritev(1<<22-1, []unix.Iovec{local}, []unix.RemoteIovec{remote}, 0)
	fails(t, err, unix.ESRCH)
}

func TestMapsFile(t *testing.T) {
	covers(t, "mmap")
	name, fd := file(t, "x")
	p := mapMemory(t, 0, page, unix.PROT_READ, unix.MAP_PRIVATE, fd, 0)
	maps, err := os.ReadFile("/proc/self/maps")
	ok(t, err)
	line := findLine(string(maps), hex(p)+"-"+hex(p+page)+" ")
	equal(t, "access", fields(line)[1], "r--p")
	equal(t, "name", fields(line)[5], name)
}
