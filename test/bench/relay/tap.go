package relay

import (
	"fmt"
	"runtime"

	"golang.org/x/sys/unix"
)

// tapIn makes a TAP device in a network namespace. It has no offloads, so that its kernel
// hands over segments as they would be on a cable, with their checksums. It ends with the
// descriptor, which doesn't block.
func tapIn(file, name string) (fd int, err error) {
	if err = within(file, func() error {
		fd, err = tap(name)
		return err
	}); err != nil {
		return -1, fmt.Errorf("a TAP device in %s: %w", file, err)
	}
	return fd, nil
}

// within does something on a thread that is in a network namespace, to its end.
func within(file string, do func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		err := enter(file)
		if err == nil {
			err = do()
		}
		done <- err
	}()
	return <-done
}

// enter moves this thread to a network namespace.
func enter(file string) error {
	ns, err := unix.Open(file, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(ns)
	return unix.Setns(ns, unix.CLONE_NEWNET)
}

// tap makes a device in this thread's network namespace.
func tap(name string) (int, error) {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("/dev/net/tun: %w", err)
	}
	request, err := unix.NewIfreq(name)
	if err == nil {
		request.SetUint16(unix.IFF_TAP | unix.IFF_NO_PI)
		err = unix.IoctlIfreq(fd, unix.TUNSETIFF, request)
	}
	if err != nil {
		unix.Close(fd)
		return -1, fmt.Errorf("TUNSETIFF: %w", err)
	}
	return fd, nil
}
