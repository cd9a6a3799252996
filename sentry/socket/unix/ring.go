package unix

// A ring is bytes on their way. Positions count from the beginning of the stream
// and never wrap, so that they stay good when the buffer is replaced by a larger
// one: what lies between head and tail has been copied there too.
type ring struct {
	buf        []byte // its length is a power of two, or 0
	head, tail uint64
}

// Sizes of a ring's buffer, in bytes: the least there is, and the most that an
// empty ring keeps.
const (
	minRing  = 4096
	idleRing = 64 << 10
)

func (r *ring) used() int { return int(r.tail - r.head) }

// space returns where the next n bytes go, at most two pieces. The buffer grows if
// it must; the caller has checked n against its limit.
func (r *ring) space(n int) (a, b []byte) {
	if r.used()+n > len(r.buf) {
		r.grow(r.used() + n)
	}
	return r.pieces(r.tail, n)
}

// data returns n bytes from head+skip on, which must be there.
func (r *ring) data(skip, n int) (a, b []byte) { return r.pieces(r.head+uint64(skip), n) }

func (r *ring) pieces(at uint64, n int) (a, b []byte) {
	if n == 0 {
		return nil, nil
	}
	i := int(at & uint64(len(r.buf)-1))
	if i+n <= len(r.buf) {
		return r.buf[i : i+n], nil
	}
	return r.buf[i:], r.buf[:i+n-len(r.buf)]
}

func (r *ring) grow(need int) {
	size := minRing
	for size < need {
		size *= 2
	}
	old := *r
	r.buf = make([]byte, size)
	if n := old.used(); n > 0 {
		a, b := old.data(0, n)
		c, d := r.data(0, n)
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

// shrink gives the buffer of an empty ring back if it is large.
func (r *ring) shrink() {
	if r.head == r.tail && len(r.buf) > idleRing {
		r.buf = nil
	}
}
