// Command netguest speaks over a network with itself, in a container at one end: serve at
// the one, and tcp and udp at the other, which fails if anything came otherwise than it was
// sent.
package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand"
	"net"
	"os"
	"time"
)

const port = "7777"

// patience is how long anything may take.
const patience = 30 * time.Second

// bulk is how much goes each way of a connection.
const bulk = 64 << 20

func main() {
	var err error
	switch {
	case len(os.Args) == 2 && os.Args[1] == "serve":
		err = serve()
	case len(os.Args) == 3 && os.Args[1] == "tcp":
		err = tcp(net.JoinHostPort(os.Args[2], port))
	case len(os.Args) == 3 && os.Args[1] == "udp":
		err = udp(net.JoinHostPort(os.Args[2], port))
	case len(os.Args) == 3 && os.Args[1] == "latency":
		err = latency(net.JoinHostPort(os.Args[2], port))
	default:
		err = errors.New("usage: netguest serve | tcp ADDRESS | udp ADDRESS | latency ADDRESS")
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

// serve says "ready" and echoes datagrams and what connections bring.
func serve() error {
	l, err := net.Listen("tcp", ":"+port)
	if err != nil {
		return err
	}
	u, err := net.ListenPacket("udp", ":"+port)
	if err != nil {
		return err
	}
	fmt.Println("ready")
	go func() {
		buf := make([]byte, 65536)
		for {
			n, from, err := u.ReadFrom(buf)
			if err != nil {
				return
			}
			_, _ = u.WriteTo(buf[:n], from)
		}
	}()
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer c.Close()
			buf := make([]byte, 256<<10)
			for {
				n, err := c.Read(buf)
				if err != nil {
					return
				}
				if _, err := c.Write(buf[:n]); err != nil {
					return
				}
			}
		}()
	}
}

// tcp sends bulk bytes and compares what comes back.
func tcp(addr string) error {
	c, err := net.DialTimeout("tcp", addr, patience)
	if err != nil {
		return err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	sent, failed := sha256.New(), make(chan error, 1)
	go func() {
		_, err := io.Copy(io.MultiWriter(c, sent), io.LimitReader(rand.New(rand.NewSource(1)), bulk))
		if err == nil {
			err = c.(*net.TCPConn).CloseWrite()
		}
		failed <- err
	}()
	came := sha256.New()
	n, err := io.Copy(came, c)
	if err := errors.Join(<-failed, err); err != nil {
		return err
	}
	if n != bulk || !bytes.Equal(sent.Sum(nil), came.Sum(nil)) {
		return fmt.Errorf("of %d bytes %d came back, %x as %x", bulk, n, sent.Sum(nil), came.Sum(nil))
	}
	fmt.Println("tcp ok")
	return nil
}

// udp sends datagrams of all sizes, such as are in fragments, too. One that is lost is sent
// again, some times.
func udp(addr string) error {
	c, err := net.Dial("udp", addr)
	if err != nil {
		return err
	}
	defer c.Close()
	buf := make([]byte, 65536)
	for i, size := range []int{1, 500, 1400, 1472, 1473, 9000, 65000} {
		message := bytes.Repeat([]byte{byte(i)}, size)
		for try := 0; ; try++ {
			if _, err := c.Write(message); err != nil {
				return err
			}
			_ = c.SetReadDeadline(time.Now().Add(time.Second))
			n, err := c.Read(buf)
			if err == nil && bytes.Equal(buf[:n], message) {
				break
			}
			if try == 5 {
				return fmt.Errorf("datagram of %d bytes: %d bytes came back: %w", size, n, err)
			}
		}
	}
	fmt.Println("udp ok")
	return nil
}

// latency says how long a byte takes there and back, in microseconds.
func latency(addr string) error {
	const rounds = 5000
	c, err := net.DialTimeout("tcp", addr, patience)
	if err != nil {
		return err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	var b [8]byte
	start := time.Now()
	for i := range rounds {
		binary.LittleEndian.PutUint64(b[:], uint64(i))
		if _, err := c.Write(b[:]); err != nil {
			return err
		}
		if _, err := io.ReadFull(c, b[:]); err != nil {
			return err
		}
	}
	fmt.Printf("%.1f µs\n", float64(time.Since(start).Microseconds())/rounds)
	return nil
}
