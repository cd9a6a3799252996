package sandbox

import (
	"io"
	"os"
	"sync"

	"github.com/containerd/console"
)

// A Relay shows a container's terminal on this process's own: keys go in as
// they are typed, what the guest writes comes out.
type Relay struct {
	term     *terminal
	outside  console.Console // nil when standard input is no terminal
	output   sync.WaitGroup
	finished sync.Once
}

// Relay starts showing the container's terminal, or returns nil if it has none.
func (s *Sandbox) Relay() (*Relay, error) { return newRelay(s.term) }

// Relay starts showing the process's terminal, or returns nil if it has none.
func (e *Execed) Relay() (*Relay, error) { return newRelay(e.term) }

func newRelay(t *terminal) (*Relay, error) {
	if t == nil {
		return nil, nil
	}
	r := &Relay{term: t}
	if c, err := console.ConsoleFromFile(os.Stdin); err == nil {
		// Output comes from a terminal: it must not be processed a second time.
		if err := makeRaw(os.Stdin); err != nil {
			return nil, err
		}
		r.outside = c
		r.Resize()
	}
	go func() {
		_, _ = io.Copy(t.master, os.Stdin)
	}()
	r.output.Add(1)
	go func() {
		defer r.output.Done()
		_, _ = io.Copy(os.Stdout, t.master) // ends with EIO when the guest's side is closed
	}()
	return r, nil
}

// Resize gives the container's terminal the size of the outer one, which makes
// the host send SIGWINCH to the holder.
func (r *Relay) Resize() {
	if r == nil || r.outside == nil {
		return
	}
	if size, err := r.outside.Size(); err == nil {
		_ = r.term.master.Resize(size)
	}
}

// Close shows what is left of the output and gives the outer terminal back as it was.
func (r *Relay) Close() {
	if r == nil {
		return
	}
	r.finished.Do(func() {
		r.output.Wait()
		if r.outside != nil {
			_ = r.outside.Reset()
		}
		r.term.master.Close()
	})
}

// Abandon gives the outer terminal back without waiting for output.
func (r *Relay) Abandon() {
	if r == nil {
		return
	}
	r.term.master.Close()
	r.Close()
}
