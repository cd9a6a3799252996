package gofer

import (
	"testing"

	"golang.org/x/sys/unix"
)

// TestBell sees that a bell rings for who waits, not without, and no more once closed.
func TestBell(t *testing.T) {
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_NONBLOCK|unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	defer unix.Close(p[0])
	defer unix.Close(p[1])
	b, err := newBell(p[0])
	if err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 8)
	for range 2 {
		if _, err := unix.Write(p[1], []byte("x")); err != nil {
			t.Fatal(err)
		}
		// Go's poller would be woken if the instance were readable.
		if err := b.conn.Control(func(epoll uintptr) {
			fds := []unix.PollFd{{Fd: int32(epoll), Events: unix.POLLIN}}
			if n, err := unix.Poll(fds, 0); n != 0 || err != nil {
				t.Errorf("it rings though nobody waits: %d, %v", n, err)
			}
		}); err != nil {
			t.Fatal(err)
		}
		if n, err := b.read(buf); n != 1 || err != nil {
			t.Fatalf("read: %d, %v", n, err)
		}
	}
	ended := make(chan error)
	go func() {
		_, err := b.read(buf)
		ended <- err
	}()
	b.close()
	if err := <-ended; err == nil {
		t.Error("read after close: no error")
	}
}
