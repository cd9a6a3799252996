package vfs

import (
	"sync"

	"garrison/sentry/linux"
	"garrison/sentry/wait"
)

// lockGraph is who waits for whose POSIX locks, to find deadlocks.
type lockGraph struct {
	mu    sync.Mutex
	edges []lockEdge // protected by mu
}

// maxHops is how far a deadlock is looked for, as on Linux: who would wait for more
// others waits for ever.
const maxHops = 11

type lockEdge struct {
	wait    *lockWait
	blocker any
}

// await waits for w, which blocker is in the way of. EDEADLK if blocker waits, perhaps
// by way of others, for w's owner; open file description locks are not looked at, as
// on Linux.
func (g *lockGraph) await(c Ctx, w *lockWait, blocker any) error {
	_, process := w.l.Owner.(*FDTable)
	if process {
		g.mu.Lock()
		if g.reaches(blocker, w.l.Owner) {
			g.mu.Unlock()
			return linux.EDEADLK
		}
		g.edges = append(g.edges, lockEdge{w, blocker})
		g.mu.Unlock()
		defer g.remove(w)
	}
	return w.await(w, func() error { return c.Block(w, wait.In) })
}

func (g *lockGraph) remove(w *lockWait) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for i := range g.edges {
		if g.edges[i].wait == w {
			g.edges = append(g.edges[:i:i], g.edges[i+1:]...)
			return
		}
	}
}

// reaches reports whether from waits for to, by way of maxHops others at most.
func (g *lockGraph) reaches(from, to any) bool {
	seen, level := map[any]bool{from: true}, map[any]bool{from: true}
	for hops := 0; hops <= maxHops && len(level) > 0; hops++ {
		if level[to] {
			return true
		}
		next := map[any]bool{}
		for _, e := range g.edges {
			if level[e.wait.l.Owner] && !seen[e.blocker] {
				seen[e.blocker], next[e.blocker] = true, true
			}
		}
		level = next
	}
	return false
}
