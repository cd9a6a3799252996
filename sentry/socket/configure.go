package socket

// A Configurer is Interfaces that who administers the network may change.
type Configurer interface {
	// SetMTU changes a link: ENODEV, EINVAL.
	SetMTU(index int32, mtu uint32) error
	// SetUp brings a link up or down: ENODEV; EOPNOTSUPP to bring the loopback down.
	SetUp(index int32, up bool) error
	// ChangeAddress adds or removes an address: ENODEV, EEXIST, EADDRNOTAVAIL.
	ChangeAddress(a LinkAddr, add bool) error
	// ChangeRoute adds, replaces or removes a route: ENODEV, EEXIST, ENOENT, ESRCH,
	// ENETDOWN, ENETUNREACH for a gateway that no link leads to.
	ChangeRoute(r Route, how RouteChange) error
	// ChangeNeighbor adds, replaces or removes one: ENODEV, EEXIST, ENOENT.
	ChangeNeighbor(n Neighbor, how RouteChange) error
}

// A RouteChange is what to do with a route.
type RouteChange struct {
	Remove  bool
	Create  bool // it may be new
	Replace bool // it may be there: EEXIST otherwise
}

// A State is what a network has at a moment.
type State struct {
	Links     []Link // without counters
	Addresses []LinkAddr
	Routes    []Route
}

// A Watcher is a Family that is told of changes of State, in their order.
type Watcher interface {
	Changed(before, after *State)
	// NeighborChanged tells of a neighbour that is new, is another, or has gone.
	NeighborChanged(n Neighbor, gone bool)
}

// Tell tells the families of a change.
func (n *Network) Tell(before, after *State) {
	for _, w := range n.watchers {
		w.Changed(before, after)
	}
}

// TellNeighbor tells the families of a neighbour.
func (n *Network) TellNeighbor(x Neighbor, gone bool) {
	for _, w := range n.watchers {
		w.NeighborChanged(x, gone)
	}
}
