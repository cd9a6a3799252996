package hostnet

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// A View is what a sentry needs to see a network namespace of the host whose sockets its
// guest uses: descriptors that were made there, and that change nothing.
type View struct {
	Query *os.File // rtnetlink(7), for Read and Dump
	// Tables are files of the namespace's /proc/net, by name, whose text is anew what it
	// then is whenever it is read from the beginning.
	Tables map[string]*os.File
}

// tables are the files of /proc/net that list sockets of the Internet's.
var tables = []string{"tcp", "udp", "udplite", "icmp", "raw", "tcp6", "udp6", "udplite6", "icmp6", "raw6"}

// Look opens a View of the calling thread's network namespace.
func Look() (_ *View, err error) {
	v := &View{Tables: map[string]*os.File{}}
	defer func() {
		if err != nil {
			v.Close()
		}
	}()
	if v.Query, err = route(0, 0); err != nil {
		return nil, err
	}
	for _, name := range tables {
		f, err := os.Open("/proc/thread-self/net/" + name)
		if errors.Is(err, fs.ErrNotExist) {
			continue // a host without IPv6, say
		}
		if err != nil {
			return nil, fmt.Errorf("the container's network namespace: %w", err)
		}
		v.Tables[name] = f
	}
	return v, nil
}

// Close closes the descriptors.
func (v *View) Close() {
	if v.Query != nil {
		v.Query.Close()
	}
	for _, f := range v.Tables {
		f.Close()
	}
}

// RaiseLoopback brings the loopback up in the calling thread's network namespace, which is new.
func RaiseLoopback() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("loopback: %w", err)
	}
	defer unix.Close(fd)
	lo, err := unix.NewIfreq("lo")
	if err == nil {
		err = unix.IoctlIfreq(fd, unix.SIOCGIFFLAGS, lo)
	}
	if err == nil {
		lo.SetUint16(lo.Uint16() | unix.IFF_UP)
		err = unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, lo)
	}
	if err != nil {
		return fmt.Errorf("loopback: %w", err)
	}
	return nil
}
