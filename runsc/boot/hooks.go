package boot

import (
	"encoding/json"
	"fmt"
	"os"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"garrison/fs/host"
	"garrison/runsc/control"
	"garrison/sentry/kernel"
	"garrison/sentry/linux"
	"garrison/sentry/vfs"
)

// runHooks runs the startContainer hooks: programs of the container, run in it
// before init, each with the container's state on its standard input.
func (ct *container) runHooks(q *control.Start) error {
	if len(q.Hooks) == 0 {
		return nil
	}
	state, err := json.Marshal(q.State)
	if err != nil {
		return err
	}
	for i := range q.Hooks {
		if err := ct.runHook(&q.Hooks[i], state); err != nil {
			return fmt.Errorf("error running startContainer hook #%d: hook %s: %w", i, q.Hooks[i].Path, err)
		}
	}
	return nil
}

func (ct *container) runHook(h *specs.Hook, state []byte) error {
	c, done := ct.rootContext(ct.guest.Mounts)
	defer done()
	args := h.Args
	if len(args) == 0 {
		args = []string{h.Path}
	}
	in, err := ct.hookInput(c, state)
	if err != nil {
		return err
	}
	defer in.Release(c)
	null, err := vfs.Open(c, vfs.At{Name: "/dev/null"}, vfs.OpenSpec{Flags: linux.O_RDWR})
	if err != nil {
		return fmt.Errorf("/dev/null: %w", err)
	}
	defer null.Release(c)
	g, err := ct.guest.NewProcess(&kernel.ProcessSpec{
		Container: ct.guest, Argv: args, Env: h.Env, Path: h.Path, Cwd: "/", Umask: 0o022,
		Files: []*vfs.FileDescription{in, null, null},
	})
	if err != nil {
		return err
	}
	var late <-chan time.Time
	if h.Timeout != nil {
		late = time.After(time.Duration(*h.Timeout) * time.Second)
	}
	g.Start()
	select {
	case <-g.Done():
	case <-late:
		_ = g.SignalFromOutside(outsideSignal(linux.SIGKILL))
		<-g.Done()
		return fmt.Errorf("timed out after %d s", *h.Timeout)
	}
	if w := g.Status(); w.Signaled() {
		return fmt.Errorf("signal: %d", w.TermSignal())
	} else if w.Code() != 0 {
		return fmt.Errorf("exit status %d", w.Code())
	}
	return nil
}

// hookInput is a file from which state can be read.
func (ct *container) hookInput(c vfs.Ctx, state []byte) (*vfs.FileDescription, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	go func() {
		_, _ = w.Write(state)
		w.Close()
	}()
	fd, err := bareFD(r)
	if err != nil {
		return nil, err
	}
	d, err := host.New(ct.poller, fd, 0, 0)
	if err != nil {
		return nil, err
	}
	f, err := d.Describe(c, ct.system)
	if err != nil {
		d.Drop()
		return nil, err
	}
	return f, nil
}
