package ptrace_test

import (
	"os"
	"os/exec"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"garrison/platform"
	"garrison/platform/platformtest"
	"garrison/platform/ptrace"
)

// lockedDown is set in the environment of the process that TestLockedDown runs
// itself in again.
const lockedDown = "GARRISON_TEST_LOCKED_DOWN"

// TestLockedDown runs the suite as the sentry does: as process 1 of namespaces
// of its own, without capabilities, not dumpable, and behind a filter that
// refuses what ptrace.Syscalls and Go's runtime don't list.
func TestLockedDown(t *testing.T) {
	if os.Getenv(lockedDown) != "" {
		runLockedDown(t)
		return
	}
	cmd := exec.Command("/proc/self/exe", "-test.run=^TestLockedDown$", "-test.v")
	cmd.Env = append(os.Environ(), lockedDown+"=1", "GODEBUG=containermaxprocs=0,updatemaxprocs=0")
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  unix.CLONE_NEWUSER | unix.CLONE_NEWPID | unix.CLONE_NEWNS | unix.CLONE_NEWNET | unix.CLONE_NEWIPC,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 1000, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 1000, HostID: os.Getgid(), Size: 1}},
		// To mount proc; given up before the platform starts.
		AmbientCaps: []uintptr{unix.CAP_SYS_ADMIN},
	}
	out, err := cmd.CombinedOutput()
	if exit := (*exec.ExitError)(nil); err != nil && !asExit(err, &exit) {
		t.Skipf("no namespaces: %v", err)
	}
	t.Logf("%s", out)
	if err != nil {
		t.Fatal(err)
	}
}

func asExit(err error, to **exec.ExitError) bool {
	e, ok := err.(*exec.ExitError)
	*to = e
	return ok
}

func runLockedDown(t *testing.T) {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		t.Skip("no proc: ", err)
	}
	dropCapabilities(t)
	// The suite wants a new platform for each test, but only one can be made
	// before the filter is in place.
	p, err := ptrace.New(ptrace.Options{})
	if err != nil {
		t.Fatal(err)
	}
	installFilter(t)
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := ptrace.New(ptrace.Options{}); err == nil {
		t.Error("a second platform starts: the filter is not in place")
	}
	platformtest.Shared(t, func(testing.TB) platform.Platform { return p })
	p.Release()
	if _, err := unix.Wait4(-1, nil, unix.WALL|unix.WNOHANG, nil); err != unix.ECHILD {
		t.Errorf("children are left: %v", err)
	}
}

func dropCapabilities(t *testing.T) {
	t.Helper()
	all := func(nr, a, b, c uintptr) {
		_, _, e := syscall.AllThreadsSyscall(nr, a, b, c)
		if e == unix.ENOTSUP {
			t.Skip("built with cgo, as for -race: threads can't change credentials together")
		}
		if e != 0 {
			t.Fatal(e)
		}
	}
	all(unix.SYS_PRCTL, unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0)
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	all(unix.SYS_CAPSET, uintptr(unsafe.Pointer(&header)), uintptr(unsafe.Pointer(&data)), 0)
	all(unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0)
}

// runtimeCalls are those of Go's runtime, os and testing, and of the suite
// itself, which looks into proc and makes memory files.
var runtimeCalls = []uintptr{
	unix.SYS_READ, unix.SYS_WRITE, unix.SYS_CLOSE, unix.SYS_MMAP, unix.SYS_MUNMAP, unix.SYS_MPROTECT, unix.SYS_MADVISE,
	unix.SYS_RT_SIGACTION, unix.SYS_RT_SIGPROCMASK, unix.SYS_RT_SIGRETURN, unix.SYS_SIGALTSTACK, unix.SYS_FUTEX,
	unix.SYS_CLONE, unix.SYS_CLONE3, unix.SYS_EXIT, unix.SYS_EXIT_GROUP, unix.SYS_GETTID, unix.SYS_GETPID, unix.SYS_TGKILL,
	unix.SYS_SCHED_YIELD, unix.SYS_NANOSLEEP, unix.SYS_CLOCK_NANOSLEEP, unix.SYS_CLOCK_GETTIME, unix.SYS_GETRANDOM,
	unix.SYS_EPOLL_CREATE1, unix.SYS_EPOLL_CTL, unix.SYS_EPOLL_PWAIT, unix.SYS_EVENTFD2, unix.SYS_PIPE2, unix.SYS_PRCTL,
	unix.SYS_RSEQ, unix.SYS_SET_ROBUST_LIST, unix.SYS_TIMER_CREATE, unix.SYS_TIMER_SETTIME, unix.SYS_TIMER_DELETE,
	unix.SYS_OPENAT, unix.SYS_GETDENTS64, unix.SYS_FSTAT, unix.SYS_NEWFSTATAT, unix.SYS_LSEEK, unix.SYS_PREAD64, unix.SYS_READLINKAT,
	unix.SYS_MEMFD_CREATE,
}

func installFilter(t *testing.T) {
	t.Helper()
	allowed := append(ptrace.Syscalls(), runtimeCalls...)
	f := []unix.SockFilter{{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0}}
	for _, nr := range allowed {
		f = append(f,
			unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: uint32(nr), Jf: 1},
			unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW})
	}
	f = append(f, unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)})
	program := unix.SockFprog{Len: uint16(len(f)), Filter: &f[0]}
	const setModeFilter, tsync, specAllow = 1, 1, 4
	if _, _, e := syscall.RawSyscall(unix.SYS_SECCOMP, setModeFilter, tsync|specAllow, uintptr(unsafe.Pointer(&program))); e != 0 {
		t.Fatal(e)
	}
}
