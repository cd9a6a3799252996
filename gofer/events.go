package gofer

import (
	"bytes"
	"encoding/binary"
	"time"

	"golang.org/x/sys/unix"

	"garrison/gofer/wire"
)

// read takes events in, a batch a period.
func (w *watcher) read() {
	buf := make([]byte, 64<<10)
	for {
		n, err := w.bell.read(buf)
		if err != nil {
			return
		}
		w.events(buf[:n])
		select {
		case <-time.After(watchPeriod):
		case <-w.done:
			return
		}
	}
}

// events handles a batch: struct inotify_event is wd s32, mask u32, cookie u32,
// len u32, name.
func (w *watcher) events(b []byte) {
	seen := map[wire.Change]uint32{}
	for len(b) >= unix.SizeofInotifyEvent {
		wd := int32(binary.LittleEndian.Uint32(b))
		mask := binary.LittleEndian.Uint32(b[4:])
		l := int(binary.LittleEndian.Uint32(b[12:]))
		if l > len(b)-unix.SizeofInotifyEvent {
			break
		}
		name := b[unix.SizeofInotifyEvent : unix.SizeofInotifyEvent+l]
		if i := bytes.IndexByte(name, 0); i >= 0 {
			name = name[:i]
		}
		b = b[unix.SizeofInotifyEvent+l:]
		w.mu.Lock()
		switch {
		case mask&unix.IN_Q_OVERFLOW != 0:
			w.reportAllLocked()
		case mask&unix.IN_IGNORED != 0:
			delete(w.dirs, wd)
		default:
			if id, ok := w.dirs[wd]; ok {
				seen[wire.Change{ID: id, Name: string(name)}] |= mask
			}
		}
		w.mu.Unlock()
	}
	for c, mask := range seen {
		w.event(c, mask)
	}
}

// event handles what happened to a name in a batch.
func (w *watcher) event(c wire.Change, mask uint32) {
	if w.explains(place{c.ID, c.Name}) {
		return
	}
	if mask&nameMask == 0 && c.Name != "" {
		// The file's attributes: of interest if the sandbox knows it.
		f, err := w.look(place{c.ID, c.Name})
		if err != nil || f.id == 0 {
			return
		}
		c = wire.Change{ID: f.id}
	}
	w.report(c)
}

func (w *watcher) report(c wire.Change) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.all || w.known[c]:
		return
	case len(w.pending) >= maxPending:
		w.reportAllLocked()
		return
	}
	w.known[c] = true
	w.pending = append(w.pending, c)
	w.wakeLocked()
}

func (w *watcher) reportAllLocked() {
	w.all = true
	w.pending = nil
	clear(w.known)
	w.wakeLocked()
}

func (w *watcher) wakeLocked() {
	select {
	case w.more <- struct{}{}:
	default:
	}
}

// take is what is pending, as far as it fits a message.
func (w *watcher) take() *wire.ChangesResp {
	w.mu.Lock()
	defer w.mu.Unlock()
	r := &wire.ChangesResp{All: w.all}
	w.all = false
	room, n := wire.MaxPage, 0
	for _, c := range w.pending {
		if room -= wire.ChangeSize(len(c.Name)); room < 0 {
			break
		}
		delete(w.known, c)
		n++
	}
	r.Changes = w.pending[:n:n]
	if w.pending = w.pending[n:]; len(w.pending) > 0 {
		w.wakeLocked()
	}
	return r
}

func (s *server) doChanges(*call, *wire.ChangesReq) (wire.Message, error) {
	if began, err := s.watch.start(); err != nil {
		return nil, err
	} else if began {
		s.watch.catchUp()
		return &wire.ChangesResp{Began: true}, nil
	}
	for {
		select {
		case <-s.watch.more:
			if r := s.watch.take(); r.All || len(r.Changes) > 0 {
				return r, nil
			}
		case <-s.watch.done:
			return nil, unix.EIO
		}
	}
}
