package inet

import (
	"bytes"
	"errors"
	"io"
	"os"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/rawfile"
	"gvisor.dev/gvisor/pkg/tcpip/header"

	"garrison/sentry/linux"
	"garrison/sentry/socket"
	"garrison/sentry/socket/sockettest"
	"garrison/sentry/usermem"
)

// pattern is the ith stream's bytes from an offset on.
func pattern(b []byte, i int, at int64) {
	for k := range b {
		v := at + int64(k)
		b[k] = byte(v>>13) ^ byte(v) ^ byte(i*37)
	}
}

// An inside is one end of a connection in the sentry, as Go would have it.
type inside struct {
	s *socket.Socket
	c *sockettest.Ctx
}

func (i inside) Read(b []byte) (int, error) {
	n, err := i.s.Receive(i.c, usermem.FromBytes(b), 0, nil)
	if n == 0 && err == nil {
		err = io.EOF
	}
	return int(n), err
}

func (i inside) Write(b []byte) (int, error) {
	n, err := i.s.Transmit(i.c, usermem.FromBytes(b), 0, nil)
	return int(n), err
}

// TestPacketLinkStreams has several connections carry much, both ways at once, which makes
// the host segment and the link's goroutine meet those of readers and writers.
func TestPacketLinkStreams(t *testing.T) {
	h, _ := outsideLink(t)
	const streams, size = 4, 8 << 20
	l, port := h.listener(linux.AF_INET)
	var all sync.WaitGroup
	errs := make(chan error, 4*streams)
	for i := range streams {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		h.must(err)
		h.must(unix.Connect(fd, &unix.SockaddrInet4{Port: int(port), Addr: [4]byte{10, 9, 0, 2}}))
		h.must(unix.SetNonblock(fd, true))
		out := os.NewFile(uintptr(fd), "stream")
		h.must(out.SetDeadline(time.Now().Add(30 * time.Second)))
		t.Cleanup(func() { out.Close() })
		s, err := l.Accept(h.c, false)
		h.must(err)
		for k, e := range []struct {
			w io.Writer
			r io.Reader
		}{{out, inside{s, sockettest.New(2)}}, {inside{s, sockettest.New(3)}, out}} {
			all.Go(func() { errs <- fill(e.w, 2*i+k, size) })
			all.Go(func() { errs <- drain(e.r, 2*i+k, size) })
		}
	}
	all.Wait()
	close(errs)
	for err := range errs {
		h.must(err)
	}
}

func fill(w io.Writer, i int, size int64) error {
	b := make([]byte, 100_000)
	for at := int64(0); at < size; {
		pattern(b, i, at)
		n, err := w.Write(b[:min(int64(len(b)), size-at)])
		if err != nil {
			return err
		}
		at += int64(n)
	}
	return nil
}

func drain(r io.Reader, i int, size int64) error {
	b, want := make([]byte, 100_000), make([]byte, 100_000)
	for at := int64(0); at < size; {
		n, err := r.Read(b)
		if err != nil {
			return err
		}
		pattern(want[:n], i, at)
		if !bytes.Equal(b[:n], want[:n]) {
			return errors.New("other bytes than were sent")
		}
		at += int64(n)
	}
	return nil
}

// TestPacketLinkChecksum has a checksum looked at unless the host says that it is right, or
// that there is none yet; and what is for another machine thrown away.
func TestPacketLinkChecksum(t *testing.T) {
	own, group, other := [6]byte{2, 0, 0, 0, 0, 1}, [6]byte{1, 0, 0x5e, 0, 0, 1}, [6]byte{2, 0, 0, 0, 0, 2}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	e, err := NewPacketLink(fd, 1500, own, func() {})
	if err != nil {
		t.Fatal(err)
	}
	l := e.(*packetLink)
	for _, c := range []struct {
		to        [6]byte
		flags     byte
		taken, ok bool
	}{{own, 0, true, false}, {own, vnetNeedsSum, true, true}, {own, vnetDataValid, true, true}, {group, 0, true, false}, {other, vnetDataValid, false, false}} {
		var f frame
		var h rawfile.MMsgHdr
		f.fill(&h, new(store))
		f.vnet[0] = c.flags
		const size = 3000 // of both parts of the frame's memory
		copy(f.small.AsSlice(), c.to[:])
		p := l.packet(&f, vnetSize+size)
		if (p != nil) != c.taken || p != nil && (p.RXChecksumValidated != c.ok || p.Size() != size) {
			t.Errorf("%+v: %v", c, p)
		}
		if p != nil {
			p.DecRef()
		}
		f.release()
	}
	var f frame
	var h rawfile.MMsgHdr
	f.fill(&h, new(store))
	if p := l.packet(&f, vnetSize+header.EthernetMinimumSize-1); p != nil {
		t.Error("a frame without the whole of its header was taken")
	}
	f.release()
}
