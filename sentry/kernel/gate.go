package kernel

import (
	"sync/atomic"

	"garrison/sentry/wait"
)

// A Gate counts events: whoever waits for one takes a ticket, looks, and
// sleeps until the count has moved on. The zero Gate is ready to use.
type Gate struct {
	wait.Queue
	count atomic.Uint64
}

// Ticket is the count now. Take it before looking.
func (g *Gate) Ticket() uint64 { return g.count.Load() }

// Open counts an event and wakes all who wait.
func (g *Gate) Open() {
	g.count.Add(1)
	g.Notify(wait.Readable)
}

// Since is an Object that is ready once g has been opened after ticket was taken.
func (g *Gate) Since(ticket uint64) wait.Object { return &ticketed{g, ticket} }

type ticketed struct {
	*Gate
	seen uint64
}

// Ready implements wait.Object.
func (t *ticketed) Ready(e wait.Events) wait.Events {
	if t.count.Load() != t.seen {
		return e & wait.Readable
	}
	return 0
}
