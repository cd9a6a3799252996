package relay

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// namespace is a network namespace, as a file, which ends with the test.
func namespace(t *testing.T) string {
	t.Helper()
	made, end := make(chan error), make(chan struct{})
	var file string
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		file = fmt.Sprintf("/proc/self/task/%d/ns/net", unix.Gettid())
		made <- unix.Unshare(unix.CLONE_NEWNET)
		<-end
	}()
	if err := <-made; err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { close(end) })
	return file
}

// newRelay is one between two namespaces, whose addresses are 10.79.0.1 and 10.79.0.2.
func newRelay(t *testing.T, delay time.Duration) (r *Relay, files [2]string) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("only root makes network namespaces")
	}
	if _, err := os.Stat("/dev/net/tun"); err != nil {
		t.Skip(err)
	}
	files = [2]string{namespace(t), namespace(t)}
	r, err := New(files, "eth0", delay)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	for i, file := range files {
		ip(t, file, fmt.Sprintf("addr add 10.79.0.%d/24 dev eth0", i+1))
	}
	return r, files
}

func ip(t *testing.T, file, args string) {
	t.Helper()
	if err := within(file, func() error {
		out, err := exec.Command("ip", strings.Fields(args)...).CombinedOutput()
		if err != nil {
			return fmt.Errorf("ip %s: %w: %s", args, err, out)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

// sockets are one of UDP at the second end, with room for much, and one at the first that
// sends to it.
func sockets(t *testing.T, files [2]string) (receives, sends *net.UDPConn) {
	t.Helper()
	to := &net.UDPAddr{IP: net.IPv4(10, 79, 0, 2), Port: 7}
	if err := within(files[1], func() (err error) {
		receives, err = net.ListenUDP("udp4", to)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { receives.Close() })
	if err := within(files[0], func() (err error) {
		sends, err = net.DialUDP("udp4", nil, to)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sends.Close() })
	raw, err := receives.SyscallConn()
	if err == nil {
		_ = raw.Control(func(fd uintptr) {
			err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 256<<20)
		})
	}
	if err != nil {
		t.Fatal(err)
	}
	return receives, sends
}

// TestRelay has no round trip take less than twice the delay, and one that takes little more,
// for which a busy machine needs several.
func TestRelay(t *testing.T) {
	const delay = 25 * time.Millisecond
	r, files := newRelay(t, delay)
	receives, sends := sockets(t, files)
	b := make([]byte, 100)
	least := time.Hour
	trips := 0
	for ; trips < 5 || trips < 50 && least > 3*delay; trips++ {
		begin := time.Now()
		if _, err := sends.Write(b[:1]); err != nil {
			t.Fatal(err)
		}
		_ = receives.SetReadDeadline(begin.Add(10 * time.Second))
		_, from, err := receives.ReadFromUDP(b)
		if err == nil {
			_, err = receives.WriteToUDP(b[:1], from)
		}
		if err == nil {
			_ = sends.SetReadDeadline(begin.Add(10 * time.Second))
			_, err = sends.Read(b)
		}
		if err != nil {
			t.Fatal(err)
		}
		least = min(least, time.Since(begin))
	}
	if least < 2*delay || least > 3*delay {
		t.Errorf("a round trip took %v", least)
	}
	if err := r.Err(); err != nil {
		t.Error(err)
	}
	if c := r.Counts(First); c.Came < uint64(trips) || c.Lost != 0 {
		t.Errorf("%+v", c)
	}
}

// TestRate has a Gbit/s pass, of which nothing is lost. On a machine that is busy it may be
// less, as who sends waits then.
func TestRate(t *testing.T) {
	const (
		size, frames = 1472, 25_000
		rate         = 1e9 / 8 / (size + 8 + 20 + 14) // frames a second
	)
	r, files := newRelay(t, 25*time.Millisecond)
	receives, sends := sockets(t, files)
	b := make([]byte, size)
	if _, err := sends.Write(b[:1]); err != nil { // which asks for the address
		t.Fatal(err)
	}
	_ = receives.SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, err := receives.Read(b); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	var came atomic.Int64
	go func() {
		b := make([]byte, size)
		for i := range frames {
			for int64(i)-came.Load() > depth/2 {
				time.Sleep(time.Millisecond)
			}
			if ahead := time.Duration(float64(i)/rate*1e9) - time.Since(begin); ahead > time.Millisecond {
				time.Sleep(ahead)
			}
			if _, err := sends.Write(b); err != nil {
				t.Errorf("send: %v", err)
				return
			}
		}
	}()
	var first time.Time
	for i := range frames {
		_ = receives.SetReadDeadline(time.Now().Add(10 * time.Second))
		if n, err := receives.Read(b); err != nil || n != size {
			t.Fatalf("frame %d of %d bytes: %v; %v", i, n, err, r.Err())
		}
		came.Add(1)
		if i == 0 {
			first = time.Now()
		}
	}
	got := frames / rate / time.Since(first).Seconds()
	t.Logf("%.2f Gbit/s", got)
	if got < 0.1 { // twenty times what the lines take
		t.Errorf("%.2f Gbit/s is no wire", got)
	}
	if err := r.Err(); err != nil {
		t.Error(err)
	}
	if c := r.Counts(First); c.Lost != 0 || c.Came < frames {
		t.Errorf("%+v", c)
	}
}

// TestDropped has a device's own drops be told of: its queue is one frame long, and nobody
// takes that out.
func TestDropped(t *testing.T) {
	r, files := newRelay(t, 0)
	_, sends := sockets(t, files)
	if err := r.Err(); err != nil {
		t.Fatal(err)
	}
	// The lanes end, and the devices stay.
	_, _ = unix.Write(r.stop, []byte{1, 0, 0, 0, 0, 0, 0, 0})
	r.done.Wait()
	l, err := r.handles[0].LinkByName("eth0")
	if err == nil {
		err = r.handles[0].LinkSetTxQLen(l, 1)
	}
	if err != nil {
		t.Fatal(err)
	}
	ip(t, files[0], "neigh replace 10.79.0.2 dev eth0 lladdr 02:00:00:00:00:01")
	for range 100 {
		_, _ = sends.Write([]byte("x"))
	}
	if err := r.Err(); err == nil || !strings.Contains(err.Error(), "end 1 dropped frames") {
		t.Errorf("%v is told of frames that a device dropped", err)
	}
}
