package boot

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"strings"

	"garrison/runsc/control"
	"garrison/runsc/filter"
)

// Main is runsc-sentry's main function: it returns the exit status.
func Main(args []string) int {
	var err error
	switch {
	case len(args) == 1 && args[0] == "--syscalls":
		err = printSyscalls(os.Stdout)
	case len(args) == 1 && args[0] == "--seccomp":
		err = filter.Print(os.Stdout, append(tables(1, "systrap", "ptrace"), hostNetworkTable(), filter.Dial(), filter.Gofer())...)
	case len(args) == 1 && args[0] == "--probe":
		err = probe(os.Stdout)
	case len(args) == 2 && strings.HasPrefix(args[0], "--platform="):
		err = run(strings.TrimPrefix(args[0], "--platform="))
	default:
		err = errors.New("this program is started by runsc")
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "runsc-sentry: %v\n", err)
		return 1
	}
	return 0
}

// run boots and serves until the container has ended.
func run(platformName string) error {
	conn, err := control.NewConn(os.NewFile(control.BootFD, "boot"))
	if err != nil {
		return err
	}
	runtime.GOMAXPROCS(max(runtime.NumCPU(), minProcs))
	clock := newStopwatch()
	made := startPlatform(platformName)
	var doc control.Boot
	files, err := conn.Receive(&doc)
	if errors.Is(err, io.EOF) {
		return errors.New("runsc has gone away before it said what to boot")
	}
	if err != nil {
		return err
	}
	clock.step("boot document")
	s, err := boot(&doc, files, made, clock)
	if err != nil {
		// The one who started this is told; it is the one who tells others.
		_ = conn.Send(&control.Booted{Problem: problem(err)})
		return err
	}
	if err := conn.Send(&control.Booted{Steps: clock.steps, Warnings: s.first.warnings}); err != nil {
		return err
	}
	var commit control.Commit
	if _, err := conn.Receive(&commit); err != nil {
		return fmt.Errorf("runsc has gone away before the container was on record: %w", err)
	}
	if commit.Leash {
		go func() {
			_, _ = conn.Receive(&commit)
			s.first.kill()
		}()
	} else {
		conn.Close()
	}
	// It was off (GOGC), as starting leaves nothing behind that is worth the time.
	debug.SetGCPercent(gcPercent)
	slack := make([]byte, heapSlack)
	s.serve()
	runtime.KeepAlive(slack)
	return nil
}

// minProcs is how many goroutines Go lets run at once, at least: one that waits
// in the host, as all tasks and the verifier of stubs do, counts until Go's monitor
// looks, which is every 75 µs or so. With none free, all others wait for that.
const minProcs = 16

// gcPercent is how much a sentry's heap grows between collections.
const gcPercent = 100

// heapSlack is how much a small heap may grow more than that: a program that starts
// others has the sentry fill 4 MiB, Go's least, many times a second. No memory is
// behind it, as nobody writes to it.
const heapSlack = 8 << 20

// problem is err as it crosses to runsc.
func problem(err error) *control.Problem {
	var p *control.Problem
	if errors.As(err, &p) {
		return p
	}
	return &control.Problem{Message: err.Error()}
}
