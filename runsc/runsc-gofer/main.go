// Command runsc-gofer serves host files to one sandbox. runsc starts it behind
// walls of its own with one socket, through which everything else comes; nobody
// else has a use for it. It links nothing that a guest talks to.
package main

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"

	"golang.org/x/sys/unix"

	"garrison/gofer"
	"garrison/runsc/control"
	"garrison/runsc/filter"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintf(os.Stderr, "runsc-gofer: %v\n", err)
		os.Exit(1)
	}
}

func run() error {
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("started by hand? runsc starts it: %w", err)
	}
	conn, err := control.NewConn(os.NewFile(control.BootFD, "boot"))
	if err != nil {
		return fmt.Errorf("this program is started by runsc: %w", err)
	}
	var boot control.GoferBoot
	files, err := conn.Receive(&boot)
	if err != nil {
		return err
	}
	conn.Close()
	cfg, socket, err := configure(&boot, files)
	if err != nil {
		return err
	}
	gofer.Prepare()
	debug.SetGCPercent(100) // it was off while the process started
	slack := make([]byte, heapSlack)
	defer runtime.KeepAlive(slack)
	mode := filter.Kill
	if boot.Debug {
		mode = filter.Trap
	}
	if err := filter.Install(mode, filter.Runtime(os.Getpid()), filter.Gofer()); err != nil {
		return err
	}
	return gofer.Serve(socket, cfg)
}

// heapSlack is how much a small heap may grow more than GOGC says, as a sentry's may: who
// goes through a tree has the gofer fill 4 MiB, Go's least, many times. No memory is behind
// it, as nobody writes to it.
const heapSlack = 8 << 20

// configure turns the boot document and the descriptors that came with it into
// what the server takes.
func configure(boot *control.GoferBoot, files []*os.File) (gofer.Config, int, error) {
	take := func(i int) (int, error) {
		if i < 0 || i >= len(files) || files[i] == nil {
			return -1, fmt.Errorf("boot document: no descriptor %d", i)
		}
		fd, err := unix.FcntlInt(files[i].Fd(), unix.F_DUPFD_CLOEXEC, 0)
		files[i].Close()
		files[i] = nil
		return fd, err
	}
	unix.CloseOnExec(control.DescriptorsFD)
	cfg := gofer.Config{Proc: control.DescriptorsFD}
	for _, m := range boot.Mounts {
		root, err := take(m.Root)
		if err != nil {
			return cfg, -1, err
		}
		cfg.Mounts = append(cfg.Mounts, gofer.Mount{Path: m.Path, Root: root, ReadOnly: m.ReadOnly, NoXDev: m.NoXDev, Shared: m.Shared})
	}
	socket, err := take(boot.Socket)
	return cfg, socket, err
}
