package boot

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"garrison/runsc/control"
	"garrison/runsc/hostnet"
	"garrison/sentry/socket"
	"garrison/sentry/socket/inet"
)

// A network is a network namespace of the host behind a container's own: what links,
// addresses and routes there are there is what the container has, and frames go from one to
// the other.
type network struct {
	query, events, claim, names *os.File
	dials                       []*os.File // sockets by which names asks, too

	stack  outside
	frames []int // packet sockets that are free
	links  map[int32]*link
	look   chan struct{} // has something in it if another look is due
	ended  chan struct{} // closed when nothing more is told

	users int // containers that have it: protected by the sandbox's mu
}

// A link is one that frames go by.
type link struct {
	inet.LinkConfig
	socket int
	down   *atomic.Bool // its end in the host has gone, or was down for a while
}

// An outside is what a network's stack does to have one.
type outside interface {
	diverter
	streamDiverter
	Share(from, first, last uint16)
	Configure(*inet.Outside) error
}

// settle is how long changes wait for others: most come in groups.
const settle = 20 * time.Millisecond

// openNetwork gives the container's network what the boot document brings along.
func (ct *container) openNetwork(doc *control.Network, given *descriptors) error {
	if doc == nil {
		return nil
	}
	inside, _ := ct.guest.NS.Net.Network.(*socket.Network)
	n := &network{links: map[int32]*link{}, look: make(chan struct{}, 1), ended: make(chan struct{}), users: 1}
	var ok bool
	if n.stack, ok = inside.Interfaces().(outside); !ok {
		return errors.New("network: there is no stack")
	}
	var err error
	for _, f := range []struct {
		to **os.File
		i  int
	}{{&n.query, doc.Query}, {&n.events, doc.Events}, {&n.claim, doc.Claim}} {
		if *f.to, err = given.take(f.i); err != nil {
			n.free()
			return fmt.Errorf("network: %w", err)
		}
	}
	for _, i := range doc.Frames {
		fd, err := given.takeFD(i)
		if err != nil {
			n.free()
			return fmt.Errorf("network: %w", err)
		}
		n.frames = append(n.frames, fd)
	}
	inherit(inside, doc.Parameters, false)
	if err = n.openNames(doc, given, ct.dials); err == nil {
		err = n.follow()
	}
	inherit(inside, doc.Parameters, true)
	if err != nil {
		n.free()
		return fmt.Errorf("network: %w", err)
	}
	ct.network = n
	go n.listen()
	go n.watch()
	return nil
}

// inherit gives n those of the parameters that its namespace on the host has: those of links
// that are there, or all others. What has a value there that n can't have stays as it is.
func inherit(n *socket.Network, parameters map[string]string, links bool) {
	for _, name := range slices.Sorted(maps.Keys(parameters)) { // all links before the default before each
		_, rest, of := strings.Cut(name, "/conf/")
		one := of && !strings.HasPrefix(rest, "all/") && !strings.HasPrefix(rest, "default/")
		if now, err := n.Sysctl(name); one != links || err != nil || now == parameters[name] {
			continue
		}
		_ = n.SetSysctl(name, parameters[name])
	}
}

// openNames has the container's questions asked by what the boot document brings along: by
// TCP, too, if dial says that the sandbox may.
func (n *network) openNames(doc *control.Network, given *descriptors, dial bool) (err error) {
	if doc.Names < 0 {
		return nil
	}
	if n.names, err = given.take(doc.Names); err != nil {
		return err
	}
	for _, i := range doc.Dials {
		f, err := given.take(i)
		if err != nil {
			return err
		}
		n.dials = append(n.dials, f)
	}
	if dial && len(n.dials) > 0 {
		startDialer(n.stack, doc.NamesAt, n.dials)
	}
	if doc.Answers != (control.Ports{}) {
		n.stack.Share(doc.NamesAt.Port(), doc.Answers.First, doc.Answers.Last)
	}
	return startNameserver(n.stack, doc.NamesAt, n.names)
}

// close takes the network from the container and gives up everything, soon.
func (n *network) close() { n.events.Close() }

// free is the end of n, when nobody else looks.
func (n *network) free() {
	_ = n.stack.Configure(&inet.Outside{})
	control.CloseFiles(append(n.dials, n.events, n.query, n.claim, n.names))
	for _, l := range n.links {
		unix.Close(l.socket)
	}
	for _, fd := range n.frames {
		unix.Close(fd)
	}
}

// poke asks for another look.
func (n *network) poke() {
	select {
	case n.look <- struct{}{}:
	default: // which is due already
	}
}

// listen learns of changes, until n is closed.
func (n *network) listen() {
	defer close(n.ended)
	buf := make([]byte, 16<<10)
	for {
		k, err := n.events.Read(buf)
		// That there was more than could be kept is of no interest.
		if err != nil && !errors.Is(err, unix.ENOBUFS) {
			return
		}
		if err != nil || hostnet.Matters(buf[:k]) {
			n.poke()
		}
	}
}

// watch looks again whenever it is due.
func (n *network) watch() {
	defer n.free()
	for {
		select {
		case <-n.ended:
			return
		case <-n.look:
			time.Sleep(settle)
			if err := n.follow(); err != nil {
				logf("network: %v", err)
			}
		}
	}
}

// follow gives the stack what the namespace has now.
func (n *network) follow() error {
	s, err := hostnet.Read(n.query)
	if err != nil {
		return err
	}
	var o inet.Outside
	links := map[int32]*link{}
	for i := range s.Links {
		l, err := n.carry(&s.Links[i])
		if err != nil {
			logf("network: link %s: %v", s.Links[i].Name, err)
			continue
		}
		links[l.Index] = l
		o.Links = append(o.Links, l.LinkConfig)
	}
	for _, r := range s.Routes {
		if links[r.Link] != nil {
			o.Routes = append(o.Routes, inet.RouteConfig(r))
		}
	}
	for _, x := range s.Neighbors {
		if links[x.Link] != nil {
			o.Neighbors = append(o.Neighbors, inet.NeighborConfig(x))
		}
	}
	err = n.stack.Configure(&o)
	for index, l := range n.links {
		if links[index] == nil || links[index].socket != l.socket {
			n.frames = append(n.frames, l.socket)
		}
	}
	n.links = links
	return err
}

// carry is the link of the stack for the host's link h: the one it has, or another one.
func (n *network) carry(h *hostnet.Link) (*link, error) {
	l := new(link)
	if had := n.links[h.Index]; had != nil && !had.down.Load() {
		*l = *had
	} else {
		if len(n.frames) == 0 {
			return nil, errors.New("there are too many")
		}
		fd, down := n.frames[0], new(atomic.Bool)
		if err := bind(fd, h.Index); err != nil {
			return nil, err
		}
		e, err := inet.NewPacketLink(fd, h.MTU, h.Hardware, func() { down.Store(true); n.poke() })
		if err != nil {
			return nil, err
		}
		n.frames = slices.Delete(n.frames, 0, 1)
		l.Endpoint, l.socket, l.down = e, fd, down
	}
	l.Index, l.Name, l.MTU, l.Flags, l.Hardware, l.Addresses = h.Index, h.Name, h.MTU, h.Flags, h.Hardware, nil
	for _, a := range h.Addresses {
		l.Addresses = append(l.Addresses, inet.AddressConfig(a))
	}
	return l, nil
}

// bind has a packet socket receive all frames that come by a link.
func bind(fd int, index int32) error {
	const all = unix.ETH_P_ALL<<8&0xff00 | unix.ETH_P_ALL>>8 // in network order
	for buf := make([]byte, 1); ; {
		// What is left of the link it was bound to before, or why that has gone.
		if _, err := unix.Read(fd, buf); err == unix.EAGAIN {
			break
		}
	}
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: int(index)}); err != nil {
		return fmt.Errorf("bind: %w", err)
	}
	return nil
}
