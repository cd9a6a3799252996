package docker

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"os"
	goruntime "runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// serveNames answers, in the network namespace at path, all questions that come to address
// for names' IPv4 addresses, with to; for those that begin with big with so many that
// who asks has to ask again by TCP.
func serveNames(t *testing.T, path, address string, to [4]byte) {
	t.Helper()
	var conn net.PacketConn
	var streams net.Listener
	within(t, path, func() (err error) {
		if conn, err = net.ListenPacket("udp4", address); err == nil {
			streams, err = net.Listen("tcp4", address)
		}
		return err
	})
	t.Cleanup(func() { conn.Close(); streams.Close() })
	go func() {
		buf := make([]byte, 1500)
		for {
			n, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			if a := answerName(buf[:n], to, true); a != nil {
				_, _ = conn.WriteTo(a, from)
			}
		}
	}()
	go func() {
		for {
			c, err := streams.Accept()
			if err != nil {
				return
			}
			go answerNames(c, to)
		}
	}()
}

// answerNames answers the questions that come by a connection of TCP.
func answerNames(c net.Conn, to [4]byte) {
	defer c.Close()
	for {
		var length [2]byte
		if _, err := io.ReadFull(c, length[:]); err != nil {
			return
		}
		q := make([]byte, binary.BigEndian.Uint16(length[:]))
		if _, err := io.ReadFull(c, q); err != nil {
			return
		}
		a := answerName(q, to, false)
		if _, err := c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(a))), a...)); err != nil {
			return
		}
	}
}

// within calls f, which must not fail, on a thread in the network namespace at path: the
// sockets that f itself makes are there.
func within(t *testing.T, path string, f func() error) {
	t.Helper()
	done := make(chan error)
	go func() {
		goruntime.LockOSThread() // and never unlocked: the thread ends in that namespace
		ns, err := os.Open(path)
		if err == nil {
			defer ns.Close()
			if err = unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err == nil {
				err = f()
			}
		}
		done <- err
	}()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// manyNames is how many addresses there are of a name that begins with big: their answer takes
// more than a datagram's 512 bytes.
const manyNames = 60

// answerName is the answer to a question (RFC 1035), or nil if it is none. One that is for a
// datagram and does not fit has nothing in it but that.
func answerName(q []byte, to [4]byte, datagram bool) []byte {
	const header, typeA, classIN, truncated = 12, 1, 1, 0x02
	end := header
	for end < len(q) && q[end] != 0 {
		end += 1 + int(q[end])
	}
	end += 1 + 4 // the root, type and class
	if end > len(q) {
		return nil
	}
	a := append([]byte(nil), q[:end]...)
	a[2], a[3] = 0x81, 0x80 // an answer, recursion desired and available
	clear(a[4:header])
	a[5] = 1
	if binary.BigEndian.Uint16(q[end-4:]) != typeA {
		return a
	}
	count := 1
	if bytes.HasPrefix(q[header+1:], []byte("big")) {
		if count = manyNames; datagram {
			a[2] |= truncated
			return a
		}
	}
	a[7] = byte(count)
	for i := range count {
		a = append(a, 0xc0, header, 0, typeA, 0, classIN, 0, 0, 0, 60, 0, 4)
		a = append(a, to[0], to[1], byte(i), to[3])
	}
	return a
}
