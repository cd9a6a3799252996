// Package relay is a wire between two network namespaces that delays all frames and loses
// some of them, which a process forwards from one TAP device to another: what netem(8) does
// on hosts that have it, but that frames are never longer than the MTU when some are lost.
package relay

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// An End is one of a relay's two, or neither.
type End int

// The ends, in the order that New is given them.
const (
	Neither End = iota
	First
	Second
)

// depth is how many frames are under way in each direction at most: what 7 Gbit/s have in
// 25 ms. A device has a queue as deep, for as long as nobody takes frames out of it.
const depth = 16 << 10

// A Relay is such a wire. It has a thread for each direction, which sleeps while there is
// nothing to forward.
type Relay struct {
	handles [2]*netlink.Handle
	taps    [2]int
	device  string
	stop    int // an eventfd(2), which is readable when the lanes are to end
	lanes   [2]*lane
	done    sync.WaitGroup
}

// Counts is what became of the frames from one end.
type Counts struct{ Came, Lost, Sent uint64 }

// New makes a device of a name in each of two network namespaces, which are files, and begins
// to forward frames from each to the other, a delay after they came. The devices are up, and
// end with Close.
func New(namespaces [2]string, device string, delay time.Duration) (_ *Relay, err error) {
	r := &Relay{taps: [2]int{-1, -1}, device: device, stop: -1}
	defer func() {
		if err != nil {
			r.Close()
		}
	}()
	if r.stop, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		return nil, fmt.Errorf("eventfd: %w", err)
	}
	for i, file := range namespaces {
		if r.taps[i], err = tapIn(file, device); err != nil {
			return nil, err
		}
		if r.handles[i], err = handleIn(file); err != nil {
			return nil, err
		}
		if err = r.raise(i); err != nil {
			return nil, err
		}
	}
	for i := range r.lanes {
		l := newLane(r.taps[i], r.taps[1-i], r.stop, delay)
		r.lanes[i] = l
		r.done.Go(l.run)
	}
	return r, nil
}

// handleIn is a netlink socket of a namespace.
func handleIn(file string) (*netlink.Handle, error) {
	ns, err := netns.GetFromPath(file)
	if err != nil {
		return nil, fmt.Errorf("network namespace: %w", err)
	}
	defer ns.Close()
	h, err := netlink.NewHandleAt(ns, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("netlink: %w", err)
	}
	return h, nil
}

// raise sets a device up, with a queue in which all have room that may come while the relay
// waits for a processor. It is so before anything is forwarded: to send to one that is down is
// an error, and those that are up send of their own accord.
func (r *Relay) raise(i int) error {
	l, err := r.handles[i].LinkByName(r.device)
	if err == nil {
		err = r.handles[i].LinkSetTxQLen(l, depth)
	}
	if err == nil {
		err = r.handles[i].LinkSetUp(l)
	}
	if err != nil {
		return fmt.Errorf("%s of end %d: %w", r.device, i+1, err)
	}
	return nil
}

// Lose has the wire lose 1 % of the frames that come from one end from now on, and none of
// those from the other; which ones, counted from this call, is the same for the same seed.
func (r *Relay) Lose(from End, seed uint64) {
	for i, l := range r.lanes {
		l.mu.Lock()
		if l.lose = nil; End(i+1) == from {
			l.lose = newDice(seed)
		}
		l.mu.Unlock()
	}
}

const lossRate = 0.01

// newDice is what decides which frames are lost.
func newDice(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 0)) }

// Counts says what became of the frames from one end until now.
func (r *Relay) Counts(from End) Counts {
	l := r.lanes[from-1]
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.counts
}

// Err says what the relay could not do, ever since it began: a frame that it lost, or the
// device before it, and should not have, makes all that is measured with it void.
func (r *Relay) Err() error {
	var errs []error
	for i, l := range r.lanes {
		l.mu.Lock()
		errs = append(errs, l.err)
		l.mu.Unlock()
		link, err := r.handles[i].LinkByName(r.device)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		s := link.Attrs().Statistics
		if s == nil {
			errs = append(errs, fmt.Errorf("%s has no counters", r.device))
		} else if s.TxDropped+s.RxDropped+s.TxErrors+s.RxErrors > 0 {
			errs = append(errs, fmt.Errorf("end %d dropped frames: %d to the relay, %d from it", i+1, s.TxDropped+s.TxErrors, s.RxDropped+s.RxErrors))
		}
	}
	return errors.Join(errs...)
}

// Close ends the wire: what is under way is lost.
func (r *Relay) Close() {
	if r.stop >= 0 {
		_, _ = unix.Write(r.stop, []byte{1, 0, 0, 0, 0, 0, 0, 0})
		r.done.Wait()
		unix.Close(r.stop)
	}
	for i := range r.taps {
		if r.handles[i] != nil {
			r.handles[i].Close()
		}
		if r.taps[i] >= 0 {
			unix.Close(r.taps[i])
		}
	}
}
