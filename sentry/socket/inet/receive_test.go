package inet

import (
	"fmt"
	"testing"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// TestFetchWidth: who once finds as many packets as he asks for asks for more at once, from
// then on, and says that there may be more.
func TestFetchWidth(t *testing.T) {
	// Records, as packets are; of datagrams there would be room for a few only.
	ends, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(ends[0])
	defer unix.Close(ends[1])
	e, err := NewPacketLink(ends[0], 1500, [6]byte{2, 0, 0, 0, 0, 1}, func() {})
	if err != nil {
		t.Fatal(err)
	}
	l := e.(*packetLink)
	in := &l.in
	defer func() {
		for i := range in.frames {
			in.frames[i].release()
		}
		in.store.release()
	}()
	frame := make([]byte, vnetSize+header.EthernetMinimumSize)
	frame[vnetSize] = 2 // for 2:0:0:0:0:0, which is not this one
	for _, c := range []struct {
		come int
		want string
	}{
		{0, "[0]"},
		{fewer - 1, fmt.Sprint([]int{fewer - 1, 0})},
		{fewer, fmt.Sprint([]int{fewer, 0})},
		{batch + 1, fmt.Sprint([]int{batch, 1, 0})},
		{1, fmt.Sprint([]int{1, 0})},
		{2 * batch, fmt.Sprint([]int{batch, batch, 0})},
	} {
		for range c.come {
			if _, err := unix.Write(ends[1], frame); err != nil {
				t.Fatal(err)
			}
		}
		var got []int
		for len(got) == 0 || got[len(got)-1] > 0 {
			width := fewer
			if in.many {
				width = batch
			}
			n, errno := l.fetch(false)
			if errno != 0 {
				t.Fatal(errno)
			}
			if in.more != (n == width) {
				t.Errorf("%d of %d came, and there may be more: %v", n, width, in.more)
			}
			got = append(got, n)
		}
		if fmt.Sprint(got) != c.want {
			t.Errorf("of %d packets there came %v at once, want %s", c.come, got, c.want)
		}
	}
	if !in.many {
		t.Error("it has forgotten that many can come")
	}
}
