package sandbox

import (
	"errors"
	"fmt"
	"time"

	"garrison/runsc/container"
	"garrison/runsc/control"
)

// A Watcher is told what happens to a container.
type Watcher struct {
	conn *control.Conn
}

// Watch begins to watch container id.
func Watch(store container.Store, id string) (*Watcher, error) {
	c, err := running(store, id)
	if err != nil {
		return nil, err
	}
	return watch(c)
}

func watch(c *container.Container) (*Watcher, error) {
	conn, err := dial(c)
	if err != nil {
		return nil, err
	}
	if err := conn.Send(&control.Request{ID: c.ID, Watch: &control.Watch{}}); err != nil {
		conn.Close()
		if broken(err) {
			err = container.ErrNotRunning
		}
		return nil, err
	}
	return &Watcher{conn}, nil
}

// Next waits for the next event. container.ErrNotRunning: there are no more.
func (w *Watcher) Next() (e control.Event, err error) {
	files, err := w.conn.Receive(&e)
	control.CloseFiles(files)
	if broken(err) {
		err = container.ErrNotRunning
	}
	return e, err
}

// Close ends the watch, and a Next that waits.
func (w *Watcher) Close() { w.conn.Close() }

// ErrStatusGone says that nobody is left who could tell how a container has ended.
var ErrStatusGone = errors.New("how it ended is no longer known: the process that it was started from has been told")

// WaitFor waits until the init of container id has ended, and returns its exit status,
// or 128 and the number of the signal that killed it. For a container that has ended
// already that is known as long as nobody has waited for the process whose pid callers
// see, as its parent does sooner or later: after that, ErrStatusGone.
func WaitFor(store container.Store, id string) (int, error) {
	c, err := store.Peek(id)
	if err != nil {
		return 0, err
	}
	if c.Status() == string(container.Creating) {
		return 0, container.ErrNotRunning
	}
	status, known := untilExit(c)
	for !c.Init.Wait(time.Minute) {
		// It has ended, or will in a moment: what tells is its end.
	}
	if known {
		return status, nil
	}
	if status, err = c.Init.ExitStatus(); err != nil {
		return 0, fmt.Errorf("%w (%w)", ErrStatusGone, err)
	}
	return status, nil
}

// untilExit waits for what the sentry of c says of init's end. It is not known if the
// sentry has gone, or goes without a word.
func untilExit(c *container.Container) (status int, known bool) {
	w, err := watch(c)
	if err != nil {
		return 0, false
	}
	defer w.Close()
	for {
		e, err := w.Next()
		switch {
		case err != nil:
			return 0, false
		case e.Exit != nil:
			return e.Exit.Status, true
		}
	}
}
