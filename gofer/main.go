package gofer

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// A Setup is the descriptors a gofer process is started with.
type Setup struct {
	Conn   int // the first connection to the sandbox: SOCK_SEQPACKET
	Config int // to read a Config as JSON from, until its end
	// Proc is the directory /proc/self/fd, or -1 for Prepare to open it. Best is a
	// detached clone of that directory (open_tree(2) with OPEN_TREE_CLONE, or a /proc
	// of the gofer's own PID namespace), from which ".." leads nowhere.
	Proc int
}

// maxConfig is the length of the longest Config that is read, in bytes.
const maxConfig = 16 << 20

// Prepare does what must happen before the process is confined, and returns what Run
// needs: it reads the configuration and sets limits. After Prepare come the seccomp
// filter, if it was not there from the start, and Run.
func (u *Setup) Prepare() (Config, error) {
	unix.Umask(0)
	raiseLimits()
	// A thread that returns from a wait must find a processor free, however many wait.
	runtime.GOMAXPROCS(max(runtime.NumCPU(), 16))
	var cfg Config
	f := os.NewFile(uintptr(u.Config), "config")
	if f == nil {
		return cfg, errors.New("gofer: no configuration")
	}
	defer f.Close()
	if err := json.NewDecoder(io.LimitReader(f, maxConfig)).Decode(&cfg); err != nil {
		return cfg, fmt.Errorf("gofer: configuration: %w", err)
	}
	if u.Proc < 0 {
		fd, err := unix.Open("/proc/self/fd", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err != nil {
			return cfg, fmt.Errorf("gofer: /proc/self/fd: %w", err)
		}
		u.Proc = fd
	}
	cfg.Proc = u.Proc
	return cfg, nil
}

// Run serves until the sandbox hangs up.
func (u *Setup) Run(cfg Config) error { return Serve(u.Conn, cfg) }

// raiseLimits lets the process have as many files, and as large ones, as it may: the
// sandbox's own limits are the sandbox's to keep.
func raiseLimits() {
	for _, r := range []int{unix.RLIMIT_NOFILE, unix.RLIMIT_FSIZE} {
		var l unix.Rlimit
		if err := unix.Getrlimit(r, &l); err == nil && l.Cur < l.Max {
			l.Cur = l.Max
			// By way of package syscall, which otherwise would put NOFILE back at exec.
			_ = syscall.Setrlimit(r, &syscall.Rlimit{Cur: l.Cur, Max: l.Max})
		}
	}
}
