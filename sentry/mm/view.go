package mm

import (
	"sync"

	"garrison/platform/arch"
	"garrison/sentry/linux"
	"garrison/sentry/memfile"
)

const (
	viewPieces = 64      // pieces in one View,
	viewBytes  = 4 << 20 // and bytes
)

// A view is what View hands out: memory that is kept from being used for
// anything else until it is done.
type view struct {
	pieces  [][]byte
	pins    []memfile.Range
	windows []*hostWindow
}

var views = sync.Pool{New: func() any { return new(view) }}

// View implements usermem.Memory.
func (s *Space) View(r arch.Range, a arch.Access, f func([][]byte) (int64, error)) (int64, error) {
	if r.Len() == 0 {
		return f(nil)
	}
	v := views.Get().(*view)
	defer s.endView(v)
	for range maxFaults {
		s.mu.RLock()
		s.collect(v, r, a)
		s.mu.RUnlock()
		if len(v.pieces) > 0 {
			n, err := f(v.pieces)
			if n <= 0 && err == error(linux.EFAULT) && s.revive(v) {
				return f(v.pieces)
			}
			return n, err
		}
		if err := s.faultIn(r.Start, a, false); err != nil {
			return 0, err
		}
	}
	return 0, linux.EFAULT
}

// collect adds pieces from r.Start on as far as there are translations.
func (s *Space) collect(v *view, r arch.Range, a arch.Access) {
	n := uint64(0)
	for r.Start < r.End && len(v.pieces) < viewPieces && n < viewBytes {
		e := s.lookup(r.Start, a)
		if e == nil {
			return
		}
		b := e.at(r.Start)
		b = b[:min(uint64(len(b)), r.Len(), viewBytes)]
		v.pieces = append(v.pieces, b)
		if e.window != nil {
			v.windows = append(v.windows, e.window) // keeps what lookup acquired
		} else {
			start := e.mem.Start + uint64(r.Start-e.r.Start)
			pin := memfile.Range{Start: start, End: start + uint64(len(b))}
			s.env.memory.Pin(pin)
			v.pins = append(v.pins, pin)
		}
		r.Start += arch.Addr(len(b))
		n += uint64(len(b))
	}
}

// revive is called when a host call could not touch any of v. If that was for
// want of memory it frees some, and is true, or sees to it that a victim is found.
func (s *Space) revive(v *view) bool {
	if len(v.pins) == 0 || memfile.Touch(v.pieces) {
		return false
	}
	if s.env.reclaim() && memfile.Touch(v.pieces) {
		return true
	}
	s.env.outOfMemory()
	return false
}

func (s *Space) endView(v *view) {
	for _, p := range v.pins {
		s.env.memory.Unpin(p)
	}
	for _, w := range v.windows {
		w.release()
	}
	clear(v.pieces)
	clear(v.windows)
	v.pieces, v.pins, v.windows = v.pieces[:0], v.pins[:0], v.windows[:0]
	views.Put(v)
}
