package syscalls

import (
	"garrison/platform/arch"
	"garrison/sentry/kernel"
	"garrison/sentry/limits"
	"garrison/sentry/linux"
	"garrison/sentry/usermem"
	"garrison/sentry/wait"
)

// An fdset is a guest pointer to an fd_set, which is words of 64 bits; 0 is none.
type fdset uint64

// load copies in the words that hold n descriptors.
func (s fdset) load(t *kernel.Task, n int) ([]uint64, error) {
	words := make([]uint64, (n+63)/64)
	if s == 0 {
		return words, nil
	}
	return usermem.Ptr[uint64](s).LoadSlice(t, len(words))
}

func (s fdset) store(t *kernel.Task, words []uint64) error {
	if s == 0 {
		return nil
	}
	return usermem.Ptr[uint64](s).StoreSlice(t, words)
}

// String is s as strace writes an address.
func (s fdset) String() string { return address(s).String() }

// Addr is s as an address.
func (s fdset) Addr() arch.Addr { return arch.Addr(s) }

// The events by which the three sets of select(2) are judged.
const (
	selectRead   = wait.RdNorm | wait.RdBand | wait.In | wait.Hup | wait.Err
	selectWrite  = wait.WrBand | wait.WrNorm | wait.Out | wait.Err
	selectExcept = wait.Pri
)

// A selection is select(2)'s sets: what is asked for, and what there is.
type selection struct {
	fds  []kernel.FD // that are in any set
	in   [3][]uint64
	out  [3][]uint64
	bits int // set in out
}

var selectMasks = [3]wait.Events{selectRead, selectWrite, selectExcept}

// mask is what is asked of fd.
func (s *selection) mask(fd kernel.FD) (m wait.Events) {
	for k, words := range s.in {
		if words[fd/64]>>(fd%64)&1 != 0 {
			m |= selectMasks[k]
		}
	}
	return m
}

// set notes what fd has, and reports whether that is something asked for.
func (s *selection) set(fd kernel.FD, r wait.Events) (any bool) {
	for k, words := range s.in {
		bit := uint64(1) << (fd % 64)
		if words[fd/64]&bit != 0 && r&selectMasks[k] != 0 {
			s.out[k][fd/64] |= bit
			s.bits++
			any = true
		}
	}
	return any
}

// selectFDs does the work of select(2) and pselect6(2): it returns the number of bits
// set. EBADF for a descriptor that is not open.
func selectFDs(t *kernel.Task, n int32, sets [3]fdset, l waitLimit) (int, error) {
	if n < 0 {
		return 0, linux.EINVAL
	}
	count := int(min(uint64(n), t.Limit(limits.NOFile)))
	s := &selection{}
	for k, p := range sets {
		var err error
		if s.in[k], err = p.load(t, count); err != nil {
			return 0, err
		}
		s.out[k] = make([]uint64, len(s.in[k]))
	}
	for fd := range kernel.FD(count) {
		if s.mask(fd) == 0 {
			continue
		}
		d, err := t.File(fd)
		if err != nil && int(fd) >= t.FDs().Size() {
			break // what the table has no room for, Linux does not look at
		}
		if err != nil {
			return 0, linux.EBADF
		}
		d.Release(t)
		s.fds = append(s.fds, fd)
	}
	p := poller{
		t: t, n: len(s.fds),
		want: func(i int) (kernel.FD, wait.Events) { return s.fds[i], s.mask(s.fds[i]) },
		got:  func(i int, r wait.Events) bool { return s.set(s.fds[i], r) },
	}
	if _, err := p.run(l.deadline, l.now); err != nil {
		return 0, err
	}
	for k, at := range sets {
		if err := at.store(t, s.out[k]); err != nil {
			return 0, err
		}
	}
	return s.bits, nil
}

// select_ implements select(2).
func select_(t *kernel.Task, n int32, r, w, x fdset, timeout usermem.Ptr[linux.Timeval]) (int, error) {
	var l waitLimit
	if timeout != 0 {
		tv, err := timeout.Load(t)
		if err != nil {
			return 0, err
		}
		ts := linux.Timespec{Sec: tv.Sec + tv.Usec/1e6, Nsec: tv.Usec % 1e6 * 1000}
		if !ts.Valid() {
			return 0, linux.EINVAL
		}
		l = limitIn(t, ts.Nano())
	}
	bits, err := selectFDs(t, n, [3]fdset{r, w, x}, l)
	if err == linux.ERESTARTSYS {
		err = linux.ERESTARTNOHAND
	}
	if timeout != 0 {
		tv := l.left().Timeval()
		timeout.Store(t, &tv)
	}
	return bits, err
}

// pselect6 implements select(2)'s pselect(), whose last argument points at a mask and
// its size.
func pselect6(t *kernel.Task, n int32, r, w, x fdset, timeout usermem.Ptr[linux.Timespec], mask usermem.Ptr[linux.SigmaskArg]) (int, error) {
	var m linux.SigmaskArg
	if mask != 0 {
		var err error
		if m, err = mask.Load(t); err != nil {
			return 0, err
		}
	}
	l, err := loadLimit(t, timeout)
	if err != nil {
		return 0, err
	}
	if err := swapMask(t, usermem.Ptr[linux.SigSet](m.Mask), m.Size); err != nil {
		return 0, err
	}
	bits, err := selectFDs(t, n, [3]fdset{r, w, x}, l)
	if err == linux.ERESTARTSYS {
		err = linux.ERESTARTNOHAND
	}
	if timeout != 0 {
		ts := l.left()
		timeout.Store(t, &ts)
	}
	return bits, err
}
