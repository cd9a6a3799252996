package vfs

import (
	"testing"

	"garrison/sentry/wait"
)

// slowObject is a file to which something happens whenever somebody begins to watch it.
type slowObject struct {
	wait.Queue
	meanwhile func()
	watched   map[*wait.Watch]bool
}

func (o *slowObject) Ready(wait.Events) wait.Events { return 0 }

func (o *slowObject) Watch(w *wait.Watch) {
	if f := o.meanwhile; f != nil {
		o.meanwhile = nil
		f()
	}
	o.watched[w] = true
}

func (o *slowObject) Unwatch(w *wait.Watch) { delete(o.watched, w) }

// TestAsyncRace holds O_ASYNC to leave nothing behind at a file that may outlive whoever
// used it, when one thread turns it off while another turns it on.
func TestAsyncRace(t *testing.T) {
	o := &slowObject{watched: map[*wait.Watch]bool{}}
	d := &FileDescription{object: o}
	d.async.owner = struct{ IOOwner }{}
	o.meanwhile = func() { d.setAsync(false) }
	d.setAsync(true)
	if len(o.watched) != 0 {
		t.Error("a file is watched for nobody")
	}
	o.meanwhile = func() { d.setAsync(false); d.setAsync(true) }
	d.setAsync(true)
	if len(o.watched) != 1 || !o.watched[&d.async.watch.Watch] {
		t.Errorf("%d watches of one description", len(o.watched))
	}
	d.setAsync(false)
	if len(o.watched) != 0 {
		t.Error("watching goes on after O_ASYNC is gone")
	}
}
