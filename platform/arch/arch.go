// Package arch describes the guest machine: addresses, access rights,
// registers. What depends on the processor is in files named after it.
package arch

// An Addr is a guest virtual address.
type Addr uint64

// Page geometry.
const (
	PageShift = 12
	PageSize  = 1 << PageShift
	PageMask  = PageSize - 1
)

// Down rounds a down to a page; Up rounds up, and reports overflow by ok.
func (a Addr) Down() Addr { return a &^ PageMask }

// Up rounds a up to a page boundary; ok is false when that wraps.
func (a Addr) Up() (up Addr, ok bool) {
	up = (a + PageMask) &^ PageMask
	return up, up >= a
}

// Offset is a's offset within its page.
func (a Addr) Offset() uint64 { return uint64(a) & PageMask }

// A Range is the half-open range of addresses [Start, End).
type Range struct{ Start, End Addr }

// Len is the number of bytes in r.
func (r Range) Len() uint64 { return uint64(r.End - r.Start) }

// Contains reports whether a lies in r.
func (r Range) Contains(a Addr) bool { return r.Start <= a && a < r.End }

// Covers reports whether all of o lies in r.
func (r Range) Covers(o Range) bool { return r.Start <= o.Start && o.End <= r.End }

// Overlaps reports whether r and o share an address.
func (r Range) Overlaps(o Range) bool { return r.Start < o.End && o.Start < r.End }

// Intersect is the part of r that lies in o; empty (Len 0) if none does.
func (r Range) Intersect(o Range) Range {
	r.Start, r.End = max(r.Start, o.Start), min(r.End, o.End)
	r.End = max(r.Start, r.End)
	return r
}

// Access is a set of rights to memory.
type Access uint8

const (
	Read Access = 1 << iota
	Write
	Exec

	NoAccess Access = 0
)

// Has reports whether a includes every right in want.
func (a Access) Has(want Access) bool { return a&want == want }

// String is a as /proc/pid/maps writes it: "rw-".
func (a Access) String() string {
	b := []byte("---")
	for i, c := range "rwx" {
		if a&(1<<i) != 0 {
			b[i] = byte(c)
		}
	}
	return string(b)
}
