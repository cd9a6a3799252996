package gofer

import (
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// Prepare readies the process for Serve. It comes before the process is confined, for
// what it does is not among the calls that serving takes (which are runsc/filter's
// table "gofer").
func Prepare() {
	// Modes are what the sandbox says. Serve makes them so in any case, but with a
	// umask that takes a call more for each file.
	unix.Umask(0)
	raiseLimits()
	// A thread that returns from a wait must find a processor free, however many wait.
	runtime.GOMAXPROCS(max(runtime.NumCPU(), 16))
}

// raiseLimits lets the process have as many files, and as large ones, as it may: the
// sandbox's own limits are the sandbox's to keep.
func raiseLimits() {
	for _, r := range []int{unix.RLIMIT_NOFILE, unix.RLIMIT_FSIZE} {
		var l unix.Rlimit
		if err := unix.Getrlimit(r, &l); err == nil && l.Cur < l.Max {
			// By way of package syscall, which otherwise would put NOFILE back at exec.
			_ = syscall.Setrlimit(r, &syscall.Rlimit{Cur: l.Max, Max: l.Max})
		}
	}
}
