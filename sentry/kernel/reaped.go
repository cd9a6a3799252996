package kernel

import "slices"

// A Reaped is a task that is no more: its number, which is Process if it led that.
type Reaped struct{ Task, Process *PID }

// reapWatch is who wants to hear of tasks that are no more, and of which they have
// not heard yet. Kernel.tasks protects it.
type reapWatch struct {
	watchers []*func(Reaped) // replaced as a whole
	untold   []Reaped
}

// OnReap has f called, with no lock held, soon after a task has lost its number,
// until stop is called; a call may be on its way even then.
func (k *Kernel) OnReap(f func(Reaped)) (stop func()) {
	k.tasks.Lock()
	defer k.tasks.Unlock()
	w := &k.reapWatch
	w.watchers = append(slices.Clone(w.watchers), &f)
	return func() {
		k.tasks.Lock()
		defer k.tasks.Unlock()
		w.watchers = slices.DeleteFunc(slices.Clone(w.watchers), func(x *func(Reaped)) bool { return x == &f })
	}
}

// lost notes that a task of g has lost the number p. The caller holds tasks, and
// tells when it has given it back; what it leaves is told with the next.
func (g *ThreadGroup) lost(p *PID) {
	if w := &g.k.reapWatch; len(w.watchers) > 0 {
		w.untold = append(w.untold, Reaped{p, g.pid})
	}
}

// take is what is to be told once tasks, which the caller holds, is given back.
func (w *reapWatch) take() reapWatch {
	out := *w
	w.untold = nil
	return out
}

// tell tells what take has taken.
func (w reapWatch) tell() {
	for _, r := range w.untold {
		for _, f := range w.watchers {
			(*f)(r)
		}
	}
}
