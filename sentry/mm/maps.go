package mm

import (
	"strings"

	"garrison/platform/arch"
)

// A Region is a mapping as /proc/pid/maps and smaps show it.
type Region struct {
	arch.Range
	Access   arch.Access
	Shared   bool
	Offset   uint64
	Dev, Ino uint64
	Name     string // path, "[heap]", "[anon:…]", or ""
	File     bool   // Name is a path
	Locked   bool
	Flags    string // smaps' VmFlags: "rd wr mr mw me ac"

	// Bytes of memory, for smaps; only if asked for.
	RSS, SharedClean, SharedDirty, PrivateClean, PrivateDirty, Anonymous uint64
}

// Vsyscall is the page that every process seems to have at the end of the
// address space.
var vsyscall = Region{
	Range:  arch.Range{Start: 0xffffffffff600000, End: 0xffffffffff601000},
	Access: arch.Exec, Name: "[vsyscall]", Flags: "ex",
}

// Regions is the mappings in order, the vsyscall page last. With usage it
// counts memory too, which takes a host call for a run or so. Files are asked
// their names; the caller holds no lock.
func (s *Space) Regions(usage bool) []Region {
	s.mu.RLock()
	rs := make([]Region, 0, s.vmas.Len()+1)
	ids := make([]*shown, 0, s.vmas.Len())
	names := make(map[*shown]MappedName) // a file may be mapped in thousands of pieces
	for r, v := range s.vmas.All() {
		if v.is(vmTrampoline) {
			continue
		}
		x := Region{Range: rng(r), Access: v.access, Shared: v.is(vmShared), Name: v.name,
			Locked: v.is(vmLocked), Flags: v.smapsFlags()}
		switch {
		case v.shown != nil:
			if _, ok := names[v.shown]; !ok && v.shown.id != nil {
				v.shown.id.IncRef()
				names[v.shown] = MappedName{}
			}
			x.Offset, x.File = v.off, true
		case x.Name != "":
		case x.Start <= s.layout.Brk.End && x.End >= s.layout.Brk.Start && s.layout.Brk.End > s.layout.Brk.Start:
			x.Name = "[heap]"
		case x.Start <= s.layout.StackStart && x.End >= s.layout.StackStart && s.layout.StackStart != 0:
			x.Name = "[stack]"
		}
		if usage {
			s.usage(&x, &v)
		}
		rs, ids = append(rs, x), append(ids, v.shown)
	}
	s.mu.RUnlock()
	for x := range names {
		names[x] = x.id.MappedName()
		x.id.DecRef()
	}
	for i, x := range ids {
		n := names[x]
		rs[i].Dev, rs[i].Ino = n.Dev, n.Ino
		if rs[i].Name == "" {
			rs[i].Name = n.Path
		}
	}
	return append(rs, vsyscall)
}

// usage counts the memory of x, which is v's.
func (s *Space) usage(x *Region, v *vma) {
	for rr, u := range s.runs.In(ivl(x.Range)) {
		part := rng(rr).Intersect(x.Range)
		u.off += uint64(part.Start - rr.Start)
		n := part.Len()
		if u.host == nil {
			n = s.env.memory.Resident(u.memory(part))
		}
		x.RSS += n
		switch {
		case u.owned && u.cow:
			x.SharedDirty, x.Anonymous = x.SharedDirty+n, x.Anonymous+n
		case u.owned:
			x.PrivateDirty, x.Anonymous = x.PrivateDirty+n, x.Anonymous+n
		case v.is(vmShared) && u.access&arch.Write != 0:
			x.SharedDirty += n
		default:
			x.SharedClean += n
		}
	}
}

// smapsFlags is v as the VmFlags line of smaps has it.
func (v *vma) smapsFlags() string {
	var b strings.Builder
	add := func(on bool, name string) {
		if on {
			if b.Len() > 0 {
				b.WriteByte(' ')
			}
			b.WriteString(name)
		}
	}
	add(v.access&arch.Read != 0, "rd")
	add(v.access&arch.Write != 0, "wr")
	add(v.access&arch.Exec != 0, "ex")
	add(v.is(vmShared), "sh")
	add(v.max&arch.Read != 0, "mr")
	add(v.max&arch.Write != 0, "mw")
	add(v.max&arch.Exec != 0, "me")
	add(v.is(vmShared) && v.max&arch.Write != 0, "ms")
	add(v.is(vmGrowsDown), "gd")
	add(v.is(vmLocked), "lo")
	add(v.is(vmSequential), "sr")
	add(v.is(vmRandom), "rr")
	add(v.is(vmDontFork), "dc")
	add(v.is(vmFixedSize), "de")
	add(v.isData() && !v.is(vmNoReserve), "ac")
	add(v.is(vmNoReserve), "nr")
	add(v.is(vmWipeOnFork), "wf")
	add(v.is(vmDontDump), "dd")
	add(v.is(vmHugePage), "hg")
	add(v.is(vmNoHugePage), "nh")
	add(v.is(vmMergeable), "mg")
	add(v.is(vmSealed), "sl")
	return b.String()
}

// Stats is what /proc/pid/{stat,statm,status} tell, in bytes.
type Stats struct {
	VM, PeakVM, Locked, Pinned, Data, Stack, Exec, Lib, PTE uint64
	RSS, PeakRSS, RSSAnon, RSSFile, RSSShmem                uint64

	Filled uint64 // the pages that came without a fault, at their most; with rss
}

// Stats counts s's memory. With rss false the RSS fields are zero, and it takes
// no time.
func (s *Space) Stats(rss bool) Stats {
	s.mu.RLock()
	defer s.mu.RUnlock()
	c := &s.count
	st := Stats{VM: c.vm, PeakVM: c.peak, Locked: c.locked, Data: c.data, Stack: c.stack,
		PTE: uint64(s.runs.Len()+4) * arch.PageSize}
	// What may be executed and is not the program's own counts as libraries'.
	end, _ := s.layout.CodeEnd.Up()
	st.Exec = min(uint64(end-s.layout.CodeStart.Down()), c.exec)
	st.Lib = c.exec - st.Exec
	if !rss {
		return st
	}
	alone := uint64(0)
	for r, x := range s.runs.All() {
		switch {
		case x.host != nil:
			st.RSSFile += uint64(r.Len())
		case x.owned:
			n := s.env.memory.Resident(x.memory(rng(r)))
			st.RSSAnon += n
			if s.filled.counts(&x) {
				alone += n
			}
		default:
			st.RSSShmem += s.env.memory.Resident(x.memory(rng(r)))
		}
	}
	st.RSS = st.RSSAnon + st.RSSFile + st.RSSShmem
	st.PeakRSS, st.Filled = peaked(&s.peakRSS, st.RSS), s.filled.saw(alone)
	return st
}

// smallRun is the size up to which EndRSS takes a run for resident: to ask the
// host costs more than the difference is worth, at the end of each process.
const smallRun = 64 << 10

// EndRSS is PeakRSS and Filled of Stats, for a space that is about to end, or a little more.
func (s *Space) EndRSS() (peak, filled uint64) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	alone := uint64(0)
	for r, x := range s.runs.All() {
		n, m := uint64(r.Len()), x.memory(rng(r))
		switch {
		case x.host != nil || n <= smallRun:
		case x.owned && x.cow:
			n = s.heat.residentIn(s.env.memory, m)
		default:
			n = s.env.memory.Resident(m)
		}
		peak += n
		if s.filled.counts(&x) {
			alone += n
		}
	}
	return max(peak, s.peakRSS.Load()), s.filled.saw(alone)
}
