package inet

import "gvisor.dev/gvisor/pkg/buffer"

// A store is memory for long frames, which serves again once the stack has given it back. The
// library's own pool clears what it gives out, 64 KiB for each frame; but what the host writes
// a frame to needs not be clear, as nobody looks behind the frame's end.
type store struct{ kept []lasting } // those that have been used longest ago first

// A lasting is memory that is the store's and, if it is used, somebody else's, too.
type lasting struct {
	view *buffer.View
	refs references
}

// references counts who has some memory.
type references interface{ ReadRefs() int64 }

const (
	// maxKept is how much a store keeps: 2 MiB, which are as many frames as are on their way to
	// guests that read what comes.
	maxKept = 32
	// tries is how many that may be in use are looked at, for one that is not.
	tries = 4
)

// take is memory of largeFrame bytes, with anything in it.
func (s *store) take() *buffer.View {
	for range min(tries, len(s.kept)) {
		k := s.kept[0]
		copy(s.kept, s.kept[1:])
		s.kept[len(s.kept)-1] = k
		if k.refs.ReadRefs() == 1 { // and nobody but this store could make another
			return k.view.Clone()
		}
	}
	v := buffer.NewViewSize(largeFrame)
	if len(s.kept) < maxKept {
		k := v.Clone()
		s.kept = append(s.kept, lasting{k, referencesTo(k)})
	}
	return v
}

// release gives up what is kept.
func (s *store) release() {
	for _, k := range s.kept {
		k.view.Release()
	}
	s.kept = nil
}
