package socket

// A Ring is the bytes of a stream that have been sent and not yet received. Positions
// count from the beginning of the stream and never wrap, so that they stay good when the
// buffer is replaced by a larger one: what lies between head and tail has been copied
// there too. The caller locks; pieces that Space and Data return may be copied to and
// from without the lock, by one writer and one reader. The zero Ring is empty.
type Ring struct {
	buf        []byte // its length is a power of two, or 0
	head, tail uint64
}

// Sizes of a ring's buffer, in bytes: the least there is, and the most that an
// empty ring keeps.
const (
	minRing  = 4096
	idleRing = 64 << 10
)

// Used is how many bytes there are.
func (r *Ring) Used() int { return int(r.tail - r.head) }

// Head is the position of the first byte, Tail that after the last.
func (r *Ring) Head() uint64 { return r.head }

// Tail is the position after the last byte.
func (r *Ring) Tail() uint64 { return r.tail }

// Space returns where the next n bytes go, at most two pieces. The buffer grows if
// it must; the caller has checked n against its limit. Add makes them part of the ring.
func (r *Ring) Space(n int) (a, b []byte) {
	if r.Used()+n > len(r.buf) {
		r.grow(r.Used() + n)
	}
	return r.pieces(r.tail, n)
}

// Add says that n bytes have been copied to where Space said.
func (r *Ring) Add(n int) { r.tail += uint64(n) }

// Drop takes the first n bytes out.
func (r *Ring) Drop(n int) { r.head += uint64(n) }

// Reset empties the ring and gives its buffer back.
func (r *Ring) Reset() { r.head, r.buf = r.tail, nil }

// Data returns n bytes after the first skip, which must be there, in at most two pieces.
func (r *Ring) Data(skip, n int) (a, b []byte) { return r.pieces(r.head+uint64(skip), n) }

func (r *Ring) pieces(at uint64, n int) (a, b []byte) {
	if n == 0 {
		return nil, nil
	}
	i := int(at & uint64(len(r.buf)-1))
	if i+n <= len(r.buf) {
		return r.buf[i : i+n], nil
	}
	return r.buf[i:], r.buf[:i+n-len(r.buf)]
}

func (r *Ring) grow(need int) {
	size := minRing
	for size < need {
		size *= 2
	}
	old := *r
	r.buf = make([]byte, size)
	if n := old.Used(); n > 0 {
		a, b := old.Data(0, n)
		c, d := r.Data(0, n)
		// Four pieces: the two buffers wrap at different places.
		move(c, d, a, b)
	}
}

// move copies the bytes of a then b into c then d.
func move(c, d, a, b []byte) {
	for _, src := range [2][]byte{a, b} {
		n := copy(c, src)
		c, src = c[n:], src[n:]
		if len(c) == 0 {
			m := copy(d, src)
			d = d[m:]
		}
	}
}

// Shrink gives the buffer of an empty ring back if it is large. No writer may be copying.
func (r *Ring) Shrink() {
	if r.head == r.tail && len(r.buf) > idleRing {
		r.buf = nil
	}
}
