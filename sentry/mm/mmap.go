package mm

import (
	"garrison/platform/arch"
	"garrison/sentry/limits"
	"garrison/sentry/linux"
)

// MMapOpts are the arguments of MMap.
type MMapOpts struct {
	Addr   arch.Addr
	Length uint64 // bytes; rounded up to pages
	Prot   linux.Prot
	Flags  linux.MapFlags
	Offset uint64 // in the file, page aligned

	// File is nil for anonymous memory (MAP_ANONYMOUS or not). MaxProt is then
	// ignored; for a file it is what the descriptor and its mount allow: READ
	// and WRITE as it was opened, EXEC unless mounted noexec.
	File    Mappable
	MaxProt linux.Prot

	// Identity names and keeps the file; may be nil. One reference passes to
	// MMap, whether or not it succeeds. Without File it is private memory that
	// shows a name (/dev/zero).
	Identity Identity

	Name      string // "[stack]" and the like
	CanLock   bool   // CAP_IPC_LOCK: RLIMIT_MEMLOCK does not count
	FixedSize bool   // mremap(2) can't change it (VM_DONTEXPAND)
}

// MMap is mmap(2). It returns the address.
func (s *Space) MMap(o MMapOpts) (arch.Addr, error) {
	s.mu.Lock()
	defer s.unlock()
	taken := false
	defer func() {
		if !taken && o.Identity != nil {
			s.trash.ids = append(s.trash.ids, o.Identity)
		}
	}()

	r, v, err := s.checkMMap(&o)
	if err != nil {
		return 0, err
	}
	if v.is(vmShared) && o.File == nil {
		a, err := newSharedAnon(s.env, r.Len())
		if err != nil {
			return 0, err
		}
		if o.Identity != nil {
			s.trash.ids = append(s.trash.ids, o.Identity)
		}
		o.File, o.Identity, v.off = a, a, 0
	}
	replaced := r.Len() - s.freeIn(r)
	if err := s.mayMap(&v, r.Len(), replaced); err != nil {
		return 0, err
	}
	if err := s.unsealed(r); err != nil {
		return 0, err
	}
	if replaced > 0 {
		s.dropVMAs(r)
	}
	if o.File != nil || o.Identity != nil {
		v.shown, taken = s.show(r, &o)
	}
	if err := s.insertVMA(r, v); err != nil {
		s.unmapRuns(r)
		if v.shown.vmas == 0 { // ours alone, and not taken
			taken = false
		}
		return 0, err
	}
	if !s.showText(r, &v) && replaced > 0 && !s.reuseRun(r, &v) {
		s.unmapRuns(r)
	}
	if err := s.fillNew(r, &v); err != nil {
		return 0, err
	}
	if o.Flags&(linux.MAP_POPULATE|linux.MAP_NONBLOCK) == linux.MAP_POPULATE || v.flags&(vmLocked|vmLockOnFault) == vmLocked {
		s.populate(r)
	}
	return r.Start, nil
}

// mayMap is an error if n bytes like v, which replace some, may not be mapped.
func (s *Space) mayMap(v *vma, n, replaced uint64) error {
	if s.denied(v.access, v.access) {
		return linux.EACCES
	}
	if err := s.mayExpand(v, n-min(replaced, n)); err != nil {
		return err
	}
	return s.mayCommit(v, n)
}

// fillNew fills a new mapping. For want of memory, it goes again.
func (s *Space) fillNew(r arch.Range, v *vma) error {
	if v.is(vmProgram) && v.file() != nil && v.isData() && r.Len() <= eagerCopy {
		s.copyData(r, v)
	}
	if _, err := s.fill(r, r, v); err == linux.ENOMEM && v.file() == nil {
		s.unmapRuns(r)
		s.dropVMAs(r)
		return err
	}
	return nil
}

// show is the shown for a new mapping: the neighbour's if it shows the same
// file, as it then may be one mapping with it. taken says that the reference
// to the Identity was kept.
func (s *Space) show(r arch.Range, o *MMapOpts) (x *shown, taken bool) {
	same := func(v vma) bool {
		return v.shown != nil && o.Identity != nil && v.shown.id == o.Identity && v.shown.file == o.File
	}
	it := s.vmas.Find(r.End)
	if it.Ok() && it.Range().Start == r.End && same(it.Value()) {
		return it.Value().shown, false
	}
	if it.Prev(); it.Ok() && it.Range().End == r.Start && same(it.Value()) {
		return it.Value().shown, false
	}
	return &shown{file: o.File, id: o.Identity}, true
}

// checkMMap makes of the arguments an address range and a vma, in the order in
// which Linux finds fault (do_mmap).
func (s *Space) checkMMap(o *MMapOpts) (r arch.Range, v vma, err error) {
	if s.dead {
		return r, v, linux.ENOMEM
	}
	if o.Length == 0 || o.Offset&arch.PageMask != 0 {
		return r, v, linux.EINVAL
	}
	if o.Flags&linux.MAP_HUGETLB != 0 {
		return r, v, hugePages(o)
	}
	if o.Flags&linux.MAP_FIXED_NOREPLACE != 0 {
		o.Flags |= linux.MAP_FIXED
	}
	n := (o.Length + arch.PageMask) &^ arch.PageMask
	if n == 0 {
		return r, v, linux.ENOMEM
	}
	if o.Offset+n < o.Offset {
		return r, v, linux.EOVERFLOW
	}
	if err := s.room(); err != nil {
		return r, v, err
	}
	if r, err = s.chooseRange(o, n); err != nil {
		return r, v, err
	}
	v = vma{access: access(o.Prot), max: allAccess, flags: s.lockAll, off: o.Offset, name: o.Name}
	if o.File == nil && o.Identity == nil {
		v.off = 0
	}
	if o.Flags&linux.MAP_LOCKED != 0 {
		if !o.CanLock && s.limit(limits.MemLock) == 0 {
			return r, v, linux.EPERM
		}
		v.flags |= vmLocked
	}
	if v.is(vmLocked) {
		if err := s.mayLock(n, o.CanLock); err != nil {
			return r, v, err
		}
	}
	if o.Flags&linux.MAP_GROWSDOWN != 0 {
		v.flags |= vmGrowsDown
	}
	if o.Flags&linux.MAP_NORESERVE != 0 {
		v.flags |= vmNoReserve
	}
	if o.Flags&linux.MAP_DENYWRITE != 0 && o.File != nil {
		v.flags |= vmProgram
	}
	if o.FixedSize {
		v.flags |= vmFixedSize
	}
	return r, v, checkType(o, &v)
}

// hugePages is the error of MAP_HUGETLB on a machine that has set none aside.
func hugePages(o *MMapOpts) error {
	if o.File != nil || o.Identity != nil {
		return linux.EINVAL
	}
	switch o.Flags >> linux.MAP_HUGE_SHIFT & linux.MAP_HUGE_MASK {
	case 0, 21, 30: // the default, 2 MiB, 1 GiB
		return linux.ENOMEM
	}
	return linux.EINVAL
}

// checkType applies the rules of shared and private mappings to v.
func checkType(o *MMapOpts, v *vma) error {
	kind := o.Flags & linux.MAP_TYPE
	if o.File == nil && o.Identity == nil { // anonymous
		switch kind {
		case linux.MAP_SHARED:
			if v.is(vmGrowsDown) {
				return linux.EINVAL
			}
			v.flags |= vmShared
			return nil
		case linux.MAP_PRIVATE:
			return nil
		}
		return linux.EINVAL
	}
	may := access(o.MaxProt)
	if o.File == nil {
		may = allAccess
	}
	switch kind {
	case linux.MAP_SHARED_VALIDATE:
		if o.Flags&^linux.MAP_LEGACY_MASK&^linux.MAP_FIXED_NOREPLACE != 0 {
			return linux.EOPNOTSUPP
		}
		fallthrough
	case linux.MAP_SHARED:
		if v.access&arch.Write != 0 && may&arch.Write == 0 {
			return linux.EACCES
		}
		v.flags |= vmShared
		v.max &= may | arch.Read | arch.Exec
	case linux.MAP_PRIVATE:
	default:
		return linux.EINVAL
	}
	if may&arch.Read == 0 {
		return linux.EACCES
	}
	if may&arch.Exec == 0 {
		if v.access&arch.Exec != 0 {
			return linux.EPERM
		}
		v.max &^= arch.Exec
	}
	if v.is(vmGrowsDown) {
		return linux.EINVAL
	}
	return nil
}

// freeIn is how many bytes of r no mapping covers.
func (s *Space) freeIn(r arch.Range) uint64 {
	n := r.Len()
	for vr := range s.vmas.In(ivl(r)) {
		n -= rng(vr).Intersect(r).Len()
	}
	return n
}

// chooseRange finds where to map n bytes (get_unmapped_area).
func (s *Space) chooseRange(o *MMapOpts, n uint64) (arch.Range, error) {
	if n > uint64(s.top()) {
		return arch.Range{}, linux.ENOMEM
	}
	if o.Flags&linux.MAP_FIXED != 0 {
		if o.Addr > s.top()-arch.Addr(n) {
			return arch.Range{}, linux.ENOMEM
		}
		if o.Addr.Offset() != 0 {
			return arch.Range{}, linux.EINVAL
		}
		r := arch.Range{Start: o.Addr, End: o.Addr + arch.Addr(n)}
		if o.Addr < s.bottom() {
			return r, linux.EPERM // vm.mmap_min_addr
		}
		if !s.user(r) {
			return r, linux.ENOMEM
		}
		s.claim(r)
		if o.Flags&linux.MAP_FIXED_NOREPLACE != 0 && !s.vmas.Empty(ivl(r)) {
			return r, linux.EEXIST
		}
		return r, nil
	}
	if a := o.Addr.Down(); a != 0 {
		if a < s.bottom() {
			a = s.bottom()
		}
		r := arch.Range{Start: a, End: a + arch.Addr(n)}
		s.yield(r)
		if r.End > r.Start && s.user(r) && s.clear(r) && (o.Flags&linux.MAP_32BIT == 0 || r.End <= low32.End) {
			return r, nil
		}
	}
	var a arch.Addr
	var ok bool
	if o.Flags&linux.MAP_32BIT != 0 {
		a, ok = s.gap(low32, n, false)
	} else {
		a, ok = s.freeRange(n)
	}
	if !ok {
		return arch.Range{}, linux.ENOMEM
	}
	return arch.Range{Start: a, End: a + arch.Addr(n)}, nil
}

// low32 is where MAP_32BIT maps.
var low32 = arch.Range{Start: 0x40000000, End: 0x80000000}

// freeRange finds n free bytes: the highest below the base of mmap, or if there
// are none, the lowest above.
func (s *Space) freeRange(n uint64) (arch.Addr, bool) {
	if a, ok := s.gap(arch.Range{Start: s.bottom(), End: s.layout.MMapBase}, n, true); ok {
		return a, true
	}
	return s.gap(arch.Range{Start: s.layout.MMapBase, End: s.top()}, n, false)
}

// guardGap is what is kept free below a mapping that grows down.
const guardGap = 256 * arch.PageSize

// clear reports whether r is free and keeps its distance from a stack above.
func (s *Space) clear(r arch.Range) bool {
	it := s.vmas.Find(r.Start)
	if !it.Ok() {
		return true
	}
	start := it.Range().Start
	if v := it.Value(); v.is(vmGrowsDown) {
		start -= min(start, guardGap)
	}
	return start >= r.End
}

// gap finds n free bytes in within that guests may map.
func (s *Space) gap(within arch.Range, n uint64, highest bool) (arch.Addr, bool) {
	users := s.env.facts.User
	for i := range users {
		u := users[i]
		if highest {
			u = users[len(users)-1-i]
		}
		for w := within.Intersect(u); w.Len() >= n; {
			a, ok := s.vmas.LowestGap(ivl(w), arch.Addr(n))
			if highest {
				a, ok = s.vmas.HighestGap(ivl(w), arch.Addr(n))
			}
			if !ok {
				break
			}
			r := arch.Range{Start: a, End: a + arch.Addr(n)}
			if s.clear(r) {
				return a, true
			}
			above := s.vmas.Find(r.End).Range() // the stack that is too near
			if highest {
				w.End = above.Start - min(above.Start, guardGap)
				w.End = max(w.End, w.Start)
			} else {
				w.Start = above.End
			}
		}
	}
	return 0, false
}

// Unmap is munmap(2).
func (s *Space) Unmap(a arch.Addr, n uint64) error {
	s.mu.Lock()
	defer s.unlock()
	if a.Offset() != 0 || n > uint64(s.top()) || a > s.top()-arch.Addr(n) {
		return linux.EINVAL
	}
	r, ok := pages(a, n)
	if !ok || r.Len() == 0 {
		return linux.EINVAL
	}
	s.claim(r)
	return s.unmap(r)
}

// unmap removes the mappings in r and their runs.
func (s *Space) unmap(r arch.Range) error {
	if s.vmas.Empty(ivl(r)) {
		return nil
	}
	if err := s.unsealed(r); err != nil {
		return err
	}
	if vr, _, ok := s.find(r.Start); ok && vr.Start < r.Start && r.End < vr.End {
		if err := s.room(); err != nil { // it becomes two
			return err
		}
	}
	s.unmapRuns(r)
	s.dropVMAs(r)
	return nil
}
