package kernel

import (
	"sync/atomic"

	"garrison/sentry/linux"
	"garrison/sentry/lock"
)

// Handlers is what a process does on each signal (struct sighand_struct), shared
// with CLONE_SIGHAND.
type Handlers struct {
	users atomic.Int32 // tasks that use it, exiting ones not counted

	mu      lock.Mutex[lock.Leaf]
	actions [linux.SIGMAX + 1]linux.SigAction // protected by mu
}

func newHandlers() *Handlers {
	h := &Handlers{}
	h.users.Store(1)
	return h
}

// get is the action for s.
func (h *Handlers) get(s linux.Signal) linux.SigAction {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.actions[s]
}

// handler is the handler for s: an address, SIG_DFL or SIG_IGN.
func (h *Handlers) handler(s linux.Signal) uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.actions[s].Handler
}

// set replaces the action for s.
func (h *Handlers) set(s linux.Signal, a linux.SigAction) (old linux.SigAction) {
	h.mu.Lock()
	defer h.mu.Unlock()
	old, h.actions[s] = h.actions[s], a
	return old
}

// take is get, and resets the action as SA_RESETHAND asks.
func (h *Handlers) take(s linux.Signal) linux.SigAction {
	h.mu.Lock()
	defer h.mu.Unlock()
	a := h.actions[s]
	if a.Handler > linux.SIG_IGN && a.Flags&linux.SA_RESETHAND != 0 {
		h.actions[s].Handler = linux.SIG_DFL
	}
	return a
}

// copy is a copy with one user: fork(2).
func (h *Handlers) copy() *Handlers {
	n := newHandlers()
	h.mu.Lock()
	defer h.mu.Unlock()
	n.actions = h.actions
	return n
}

// reset makes every handler SIG_DFL, with no flags and mask; what is ignored stays so:
// execve(2), CLONE_CLEAR_SIGHAND.
func (h *Handlers) reset() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for i := range h.actions {
		ignored := h.actions[i].Handler == linux.SIG_IGN
		h.actions[i] = linux.SigAction{}
		if ignored {
			h.actions[i].Handler = linux.SIG_IGN
		}
	}
}

// sets lists the signals that are ignored and those that are caught.
func (h *Handlers) sets() (ignored, caught linux.SigSet) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for s := linux.Signal(1); s <= linux.SIGMAX; s++ {
		switch h.actions[s].Handler {
		case linux.SIG_DFL:
		case linux.SIG_IGN:
			ignored.Add(s)
		default:
			caught.Add(s)
		}
	}
	return ignored, caught
}
