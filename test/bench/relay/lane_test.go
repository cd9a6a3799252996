package relay

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A track is a lane between two pairs of sockets that keep frames apart, as devices do.
type track struct {
	*lane
	in, out int // where frames are put, and where they come out
	stop    int
	done    sync.WaitGroup
}

func newTrack(t *testing.T, delay time.Duration, depth int) *track {
	t.Helper()
	pair := func() (a, b int) {
		fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_NONBLOCK, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, fd := range fds {
			_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, 16<<20)
		}
		return fds[0], fds[1]
	}
	stop, err := unix.Eventfd(0, unix.EFD_NONBLOCK)
	if err != nil {
		t.Fatal(err)
	}
	k := &track{stop: stop}
	in, from := pair()
	to, out := pair()
	k.in, k.out = in, out
	k.lane = newLane(from, to, stop, delay)
	k.queue = newQueue(depth)
	t.Cleanup(func() {
		k.end(t)
		for _, fd := range []int{from, to, stop, k.in, k.out} {
			if fd >= 0 {
				unix.Close(fd)
			}
		}
	})
	return k
}

func (k *track) begin() { k.done.Go(k.run) }

// end stops the lane, and returns when it has ended.
func (k *track) end(t *testing.T) {
	if _, err := unix.Write(k.stop, []byte{1, 0, 0, 0, 0, 0, 0, 0}); err != nil {
		t.Error(err)
	}
	k.done.Wait()
}

// put sends a frame of n bytes, with a number in it.
func (k *track) put(t *testing.T, number, n int) {
	t.Helper()
	b := bytes.Repeat([]byte{byte(number)}, n)
	binary.BigEndian.PutUint32(b, uint32(number))
	if _, err := unix.Write(k.in, b); err != nil {
		t.Fatalf("frame %d: %v", number, err)
	}
}

// get is the number and the length of the next frame to come out, or -1 if there is none in
// time. A frame that is not as it was put fails the test.
func (k *track) get(t *testing.T, limit time.Duration) (number, n int) {
	t.Helper()
	poll := []unix.PollFd{{Fd: int32(k.out), Events: unix.POLLIN}}
	for end := time.Now().Add(limit); ; {
		ts := unix.NsecToTimespec(int64(max(time.Until(end), 0)))
		ready, err := unix.Ppoll(poll, &ts, nil)
		if err == unix.EINTR {
			continue
		}
		if err != nil || ready == 0 {
			return -1, 0
		}
		break
	}
	b := make([]byte, slotSize)
	n, err := unix.Read(k.out, b)
	if err != nil || n < 4 {
		t.Fatalf("a frame of %d bytes: %v", n, err)
	}
	number = int(binary.BigEndian.Uint32(b))
	if rest := b[4:n]; !bytes.Equal(rest, bytes.Repeat([]byte{byte(number)}, len(rest))) {
		t.Fatalf("frame %d has come out changed", number)
	}
	return number, n
}

func (k *track) trouble() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.err == nil {
		return ""
	}
	return k.err.Error()
}

// TestDelay has frames come out whole, in order, none before its time, and not all long after it,
// as the sleep of a thread ends on time unless the machine is busy.
func TestDelay(t *testing.T) {
	const frames, delay = 200, 25 * time.Millisecond
	k := newTrack(t, delay, 1024)
	k.begin()
	size := func(i int) int { return 60 + i*7%(maxFrame-60+1) }
	var sent [frames]time.Time
	go func() {
		for i := range frames {
			sent[i] = time.Now()
			k.put(t, i, size(i))
			time.Sleep(200 * time.Microsecond)
		}
	}()
	var late []time.Duration
	for i := range frames {
		number, n := k.get(t, 10*time.Second)
		if number != i || n != size(i) {
			t.Fatalf("frame %d of %d bytes, want %d of %d", number, n, i, size(i))
		}
		took := time.Since(sent[i])
		if took < delay {
			t.Fatalf("frame %d came out after %v", i, took)
		}
		late = append(late, took-delay)
	}
	slices.Sort(late)
	t.Logf("late by %v, at most by %v", late[frames/2], late[frames-1])
	if late[frames/10] > 5*time.Millisecond {
		t.Errorf("nine frames of ten are late by %v", late[frames/10])
	}
	k.end(t)
	if k.counts != (Counts{Came: frames, Sent: frames}) || k.trouble() != "" {
		t.Errorf("%+v, %s", k.counts, k.trouble())
	}
}

// TestLose has the frames lost that the dice say, about 1 %, the same for a seed, and counted.
func TestLose(t *testing.T) {
	const frames = 2000
	var want []int
	for d, i := newDice(7), 0; i < frames; i++ {
		if d.Float64() >= 0.01 {
			want = append(want, i)
		}
	}
	lost := frames - len(want)
	if lost < frames/200 || lost > frames/50 {
		t.Fatalf("%d of %d frames are to be lost", lost, frames)
	}
	if newDice(7).Uint64() == newDice(8).Uint64() {
		t.Error("all seeds are alike")
	}
	k := newTrack(t, time.Millisecond, 2*frames)
	r := &Relay{lanes: [2]*lane{newLane(-1, -1, -1, 0), k.lane}}
	pass := func(want []int) {
		t.Helper()
		go func() {
			for i := range frames {
				k.put(t, i, 60)
			}
		}()
		for _, w := range want {
			if number, _ := k.get(t, 10*time.Second); number != w {
				t.Fatalf("frame %d, want %d", number, w)
			}
		}
		if number, _ := k.get(t, 20*time.Millisecond); number >= 0 {
			t.Fatalf("frame %d is one too many", number)
		}
	}
	k.begin()
	for range 2 {
		r.Lose(Second, 7)
		pass(want)
	}
	all := make([]int, frames)
	for i := range all {
		all[i] = i
	}
	r.Lose(First, 7)
	pass(all)
	r.Lose(Neither, 0)
	pass(all)
	k.end(t)
	total := Counts{Came: 4 * frames, Lost: uint64(2 * lost), Sent: uint64(4*frames - 2*lost)}
	if got := r.Counts(Second); got != total || k.trouble() != "" {
		t.Errorf("%+v, want %+v; %s", got, total, k.trouble())
	}
}

// TestTrouble has all be told that a lane could not forward.
func TestTrouble(t *testing.T) {
	for _, c := range []struct {
		name, want string
		do         func(*track)
	}{
		{"more than there is room for", "another has come", func(k *track) {
			for i := range 9 {
				k.put(t, i, 60)
			}
		}},
		{"several segments in one", "no single segment", func(k *track) { k.put(t, 0, maxFrame+1) }},
		{"nobody takes them", "write: ", func(k *track) {
			unix.Close(k.out)
			k.out = -1
			k.put(t, 0, 60)
		}},
		{"the device has ended", "ended", func(k *track) {
			unix.Close(k.in)
			k.in = -1
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := newTrack(t, 20*time.Millisecond, 8)
			k.begin()
			c.do(k)
			for end := time.Now().Add(10 * time.Second); k.trouble() == "" && time.Now().Before(end); {
				time.Sleep(time.Millisecond)
			}
			if got := k.trouble(); !strings.Contains(got, c.want) {
				t.Errorf("%q says nothing of %q", got, c.want)
			}
		})
	}
	k := newTrack(t, 20*time.Millisecond, 8)
	k.begin()
	for i := range 8 {
		k.put(t, i, 60)
	}
	for i := range 8 {
		if number, _ := k.get(t, 10*time.Second); number != i {
			t.Fatalf("frame %d of a queue that is full, want %d", number, i)
		}
	}
	if k.trouble() != "" {
		t.Error(k.trouble())
	}
}

// TestSleeps has a lane sleep while frames are under way, and while there are none.
func TestSleeps(t *testing.T) {
	k := newTrack(t, 200*time.Millisecond, 8)
	k.begin()
	cpu := func() time.Duration {
		var u unix.Rusage
		if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
			t.Fatal(err)
		}
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	begin := cpu()
	k.put(t, 0, 60)
	if number, _ := k.get(t, 10*time.Second); number != 0 {
		t.Fatalf("frame %d", number)
	}
	time.Sleep(200 * time.Millisecond)
	if spent := cpu() - begin; spent > 100*time.Millisecond {
		t.Errorf("400 ms took %v of a processor", spent)
	}
}
