package guest

import (
	"fmt"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// getlkPart asks who holds a lock on what is at descriptor 3, and tries for it.
func getlkPart() string {
	lk := unix.Flock_t{Type: unix.F_WRLCK}
	if err := unix.FcntlFlock(3, unix.F_GETLK, &lk); err != nil {
		return err.Error()
	}
	try := unix.Flock_t{Type: unix.F_WRLCK}
	err := unix.FcntlFlock(3, unix.F_SETLK, &try)
	return fmt.Sprintf("%d %d %d %d %s", lk.Type, lk.Start, lk.Len, lk.Pid-int32(os.Getppid()), errText(err))
}

func TestRecordLockSeenFromChild(t *testing.T) {
	covers(t, "fcntl", "execve")
	name, _ := file(t, "0123456789")
	f := open(t, name)
	ok(t, unix.FcntlFlock(f.Fd(), unix.F_SETLK, &unix.Flock_t{Type: unix.F_WRLCK, Start: 2, Len: 3}))
	equal(t, "held", inChild(t, "getlk", f), "1 2 3 0 EAGAIN")
	ok(t, unix.FcntlFlock(f.Fd(), unix.F_SETLK, &unix.Flock_t{Type: unix.F_UNLCK}))
	equal(t, "free", inChild(t, "getlk", f), fmt.Sprintf("2 0 0 %d none", -os.Getpid()))
}

func TestRecordLockLostByAnyClose(t *testing.T) {
	covers(t, "fcntl", "close")
	name, fd := file(t, "0123456789")
	ok(t, unix.FcntlFlock(uintptr(fd), unix.F_SETLK, &unix.Flock_t{Type: unix.F_WRLCK}))
	f := open(t, name)
	equal(t, "held", inChild(t, "getlk", f)[:5], "1 0 0")
	ok(t, open(t, name).Close()) // another description of the same file
	equal(t, "lost", inChild(t, "getlk", f)[:1], "2")
}

func TestRecordLockMiddleFreed(t *testing.T) {
	covers(t, "fcntl")
	name, _ := file(t, "0123456789")
	f := open(t, name)
	ok(t, unix.FcntlFlock(f.Fd(), unix.F_SETLK, &unix.Flock_t{Type: unix.F_WRLCK, Len: 10}))
	ok(t, unix.FcntlFlock(f.Fd(), unix.F_SETLK, &unix.Flock_t{Type: unix.F_UNLCK, Len: 4}))
	equal(t, "what remains", inChild(t, "getlk", f), "1 4 6 0 EAGAIN")
}

// flockPart takes descriptor 3's lock, and a lock of a description of its own.
func flockPart() string {
	err := unix.Flock(3, unix.LOCK_EX|unix.LOCK_NB)
	fd, e := unix.Open("/proc/self/fd/3", unix.O_RDWR, 0)
	if e != nil {
		return e.Error()
	}
	return errText(err) + " " + errText(unix.Flock(fd, unix.LOCK_SH|unix.LOCK_NB))
}

func TestFlockIsOfTheDescription(t *testing.T) {
	covers(t, "flock", "execve", "dup")
	name, fd := file(t, "")
	ok(t, unix.Flock(fd, unix.LOCK_SH))
	f := open(t, name)
	equal(t, "shared elsewhere", inChild(t, "flock", f), "EAGAIN none")
	ok(t, unix.Flock(fd, unix.LOCK_UN))
	ok(t, unix.Flock(int(f.Fd()), unix.LOCK_EX))
	equal(t, "inherited", inChild(t, "flock", f), "none EAGAIN")
	fails(t, unix.Flock(fd, unix.LOCK_SH|unix.LOCK_NB), unix.EAGAIN)
}

func TestFlockOutlivesDup(t *testing.T) {
	covers(t, "flock", "dup", "close")
	name, fd := file(t, "")
	other := int(open(t, name).Fd())
	dup, err := unix.Dup(fd)
	ok(t, err)
	ok(t, unix.Flock(fd, unix.LOCK_EX))
	ok(t, unix.Close(fd))
	fails(t, unix.Flock(other, unix.LOCK_EX|unix.LOCK_NB), unix.EAGAIN)
	ok(t, unix.Close(dup))
	ok(t, unix.Flock(other, unix.LOCK_EX|unix.LOCK_NB))
}

func TestFlockAndRecordLocksApart(t *testing.T) {
	covers(t, "flock", "fcntl")
	name, fd := file(t, "")
	ok(t, unix.Flock(fd, unix.LOCK_EX))
	f := open(t, name)
	equal(t, "record lock", inChild(t, "getlk", f), fmt.Sprintf("2 0 0 %d none", -os.Getpid()))
}

func is3openPart() string {
	_, err := unix.FcntlInt(3, unix.F_GETFD, 0)
	return errText(err)
}

func TestCloseOnExec(t *testing.T) {
	covers(t, "execve", "fcntl")
	_, fd := file(t, "") // O_CLOEXEC
	equal(t, "closed", inChild(t, "is3open"), "EBADF")
	name, _ := file(t, "")
	equal(t, "passed", inChild(t, "is3open", open(t, name)), "none")
	_, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
	ok(t, err)
}

// sharedPart adds one to each byte of a shared mapping of descriptor 3.
func sharedPart() string {
	m, err := unix.Mmap(3, 0, 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return err.Error()
	}
	for i := range m {
		m[i]++
	}
	return "added"
}

func TestSharedMappingBetweenProcesses(t *testing.T) {
	covers(t, "mmap", "execve", "memfd_create", "pread64")
	fd, err := unix.MemfdCreate("shared", unix.MFD_CLOEXEC)
	ok(t, err)
	f := os.NewFile(uintptr(fd), "shared")
	defer f.Close()
	ok(t, f.Truncate(4096))
	m, err := unix.Mmap(fd, 0, 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	ok(t, err)
	defer unix.Munmap(m)
	private, err := unix.Mmap(fd, 0, 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE)
	ok(t, err)
	defer unix.Munmap(private)
	m[0], private[5] = 41, 9
	equal(t, "child", inChild(t, "shared", f), "added")
	equal(t, "written before", m[0], 42)
	equal(t, "written after", m[4095], 1)
	equal(t, "private copy", private[5], 9)
	b := make([]byte, 1)
	_, err = unix.Pread(fd, b, 4095)
	ok(t, err)
	equal(t, "in the file", b[0], 1)
}

func TestChildArguments(t *testing.T) {
	covers(t, "execve")
	equal(t, "argv", inChild(t, "identify"), "/proc/self/exe")
}
