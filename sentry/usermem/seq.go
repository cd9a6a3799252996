package usermem

import (
	"bytes"

	"garrison/platform/arch"
	"garrison/sentry/linux"
)

// A Seq is guest memory to read from or write to: an iovec, or one buffer. It
// is a value: Skip and Take return parts of it and change nothing.
type Seq struct {
	Mem Memory
	Vec []arch.Range
	one [1]arch.Range // where a Seq of one buffer keeps it, to spare an allocation
}

// One is the Seq of n bytes at a. A range that wraps is EFAULT at use.
func One(m Memory, a arch.Addr, n uint64) Seq {
	end := a + arch.Addr(n)
	if end < a {
		end = ^arch.Addr(0)
	}
	return Seq{Mem: m, one: [1]arch.Range{{Start: a, End: end}}}
}

// FromBytes is a Seq over kernel memory.
func FromBytes(b []byte) Seq { return One(Bytes(b), 0, uint64(len(b))) }

// ranges is the Seq's buffers in order.
func (s *Seq) ranges() []arch.Range {
	if s.Vec == nil {
		return s.one[:]
	}
	return s.Vec
}

// Len is the number of bytes in s.
func (s Seq) Len() (n int64) {
	for _, r := range s.ranges() {
		n += int64(r.Len())
	}
	return n
}

// Skip is s without its first n bytes.
func (s Seq) Skip(n int64) Seq {
	rs := s.ranges()
	for len(rs) > 0 && n >= int64(rs[0].Len()) {
		n -= int64(rs[0].Len())
		rs = rs[1:]
	}
	return s.with(rs, func(first *arch.Range) { first.Start += arch.Addr(n) })
}

// Take is the first n bytes of s, or all of it.
func (s Seq) Take(n int64) Seq {
	rs, left := s.ranges(), n
	for i, r := range rs {
		if left <= int64(r.Len()) {
			out := s.with(rs[:i+1:i+1], func(*arch.Range) {})
			out.last().End = r.Start + arch.Addr(left)
			return out
		}
		left -= int64(r.Len())
	}
	return s
}

// with is a Seq of rs, copied, after edit has changed the first of them.
func (s Seq) with(rs []arch.Range, edit func(first *arch.Range)) Seq {
	out := Seq{Mem: s.Mem}
	switch len(rs) {
	case 0:
		return out
	case 1:
		out.one[0] = rs[0]
		edit(&out.one[0])
	default:
		out.Vec = append([]arch.Range(nil), rs...)
		edit(&out.Vec[0])
	}
	return out
}

func (s *Seq) last() *arch.Range {
	if s.Vec == nil {
		return &s.one[0]
	}
	return &s.Vec[len(s.Vec)-1]
}

// CopyOut copies src to the start of s and returns the count; it is short with
// EFAULT, or without error if s is shorter than src.
func (s Seq) CopyOut(src []byte) (int, error) {
	done := 0
	for _, r := range s.ranges() {
		if done == len(src) {
			break
		}
		n, err := s.Mem.CopyOut(r.Start, src[done:min(uint64(len(src)), uint64(done)+r.Len())])
		done += n
		if err != nil {
			return done, err
		}
	}
	return done, nil
}

// CopyIn fills dst from the start of s, as CopyOut.
func (s Seq) CopyIn(dst []byte) (int, error) {
	done := 0
	for _, r := range s.ranges() {
		if done == len(dst) {
			break
		}
		n, err := s.Mem.CopyIn(dst[done:min(uint64(len(dst)), uint64(done)+r.Len())], r.Start)
		done += n
		if err != nil {
			return done, err
		}
	}
	return done, nil
}

// Each calls f with views of successive parts of s (Memory.View), until all is
// done, f moves less than it was given, or an error. Progress wins over an
// error: the error is returned only if no byte was moved.
func (s Seq) Each(a arch.Access, f func(pieces [][]byte) (int64, error)) (int64, error) {
	total := int64(0)
	for _, r := range s.ranges() {
		for r.Len() > 0 {
			given := int64(0)
			n, err := s.Mem.View(r, a, func(p [][]byte) (int64, error) {
				for _, b := range p {
					given += int64(len(b))
				}
				return f(p)
			})
			total += n
			if err != nil && total == 0 {
				return 0, err
			}
			if err != nil || n < given {
				return total, nil
			}
			r.Start += arch.Addr(n)
		}
	}
	return total, nil
}

// oncePieces is how many pieces Once gathers; no host call takes more (IOV_MAX).
const oncePieces = 1024

// Once calls f with views (Memory.View) of as much of s, from its start on, as can be
// had at once, and returns what f returns: for host calls whose data is one message. f is
// called again, if at all, only after EFAULT. EFAULT if there is nothing of s.
func (s Seq) Once(a arch.Access, f func(pieces [][]byte) (int64, error)) (int64, error) {
	o := once{mem: s.Mem, access: a, f: f}
	return o.gather(s.ranges(), nil)
}

// A once is a call of Once under way.
type once struct {
	mem    Memory
	access arch.Access
	f      func(pieces [][]byte) (int64, error)
	called bool
}

// gather adds the views of rs to have.
func (o *once) gather(rs []arch.Range, have [][]byte) (int64, error) {
	for len(rs) > 0 && rs[0].Len() == 0 {
		rs = rs[1:]
	}
	if len(rs) == 0 || len(have) >= oncePieces {
		o.called = true
		return o.f(have)
	}
	n, err := o.mem.View(rs[0], o.access, func(p [][]byte) (int64, error) {
		size := uint64(0)
		for _, b := range p {
			size += uint64(len(b))
		}
		next := rs[1:]
		if size < rs[0].Len() {
			next = nil
		}
		all := append(have, p...)
		return o.gather(next, all[:min(len(all), oncePieces)])
	})
	if err != nil && !o.called && len(have) > 0 {
		return o.gather(nil, have) // what lies before that can be had
	}
	return n, err
}

// stringChunk is how much CopyInString reads at once.
const stringChunk = 256

// CopyInString reads the NUL-terminated string at a, without its NUL. A string
// longer than limit bytes is ENAMETOOLONG.
func CopyInString(m Memory, a arch.Addr, limit int) (string, error) {
	var out []byte
	var buf [stringChunk]byte
	for len(out) <= limit {
		// Stop at the page's end: the next page may not exist, nor need to.
		want := min(uint64(len(buf)), arch.PageSize-a.Offset())
		n, err := m.CopyIn(buf[:want], a)
		if i := bytes.IndexByte(buf[:n], 0); i >= 0 {
			if len(out)+i > limit {
				break
			}
			if out == nil { // as nearly all
				return string(buf[:i]), nil
			}
			return string(append(out, buf[:i]...)), nil
		}
		if err != nil {
			return "", err
		}
		out, a = append(out, buf[:n]...), a+arch.Addr(n)
	}
	return "", linux.ENAMETOOLONG
}
