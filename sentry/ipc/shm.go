package ipc

import (
	"garrison/sentry/auth"
	"garrison/sentry/linux"
)

// A Segment is a shared memory segment, shmget(2). Its bytes are a file's.
type Segment struct {
	Object
	Size uint64
	File Backing
	ns   *Namespace

	// Protected by Object.mu:

	atime, dtime, ctime int64
	cpid, lpid          int32
	nattch              uint64
	unlock              func() // takes back what SHM_LOCK was accounted as; nil: it is not locked
}

// Backing is the file of a segment; whoever makes the segment knows its type.
type Backing interface {
	// DecRef gives the file up, under no lock.
	DecRef()
}

func (s *Segment) dispose() {
	s.mu.Lock()
	s.unlockLocked()
	s.mu.Unlock()
	s.File.DecRef()
}

// unlockLocked takes the lock of SHM_LOCK away.
func (s *Segment) unlockLocked() {
	s.perm.Mode &^= linux.SHM_LOCKED
	if s.unlock != nil {
		s.unlock()
		s.unlock = nil
	}
}

// NewSegment is shmget(2); mk makes the file of a new segment.
func (n *Namespace) NewSegment(c *Caller, key int32, size uint64, flags uint32, mk func() (Backing, error)) (int32, error) {
	check := func(s *Segment) error {
		if size > s.Size {
			return linux.EINVAL
		}
		return nil
	}
	return n.Segments.Get(c, key, flags, check, func() (*Segment, error) {
		if size < linux.SHMMIN || size > linux.SHMMAX {
			return nil, linux.EINVAL
		}
		f, err := mk()
		if err != nil {
			return nil, err
		}
		return &Segment{Size: size, File: f, ns: n, ctime: c.Now, cpid: c.PID}, nil
	})
}

// Attach counts an attachment, shmat(2): EACCES, EIDRM. Detached undoes it.
func (s *Segment) Attach(c *Caller, want uint32) error {
	if err := s.lock(); err != nil {
		return err
	}
	defer s.mu.Unlock()
	if err := s.may(c, want); err != nil {
		return err
	}
	s.nattch++
	s.atime, s.lpid = c.Now, c.PID
	return nil
}

// Attached counts one more place where the segment is mapped: by a fork, or a
// mapping split in two.
func (s *Segment) Attached() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.nattch++
}

// Detached counts one less. With the last, a segment marked for removal goes.
func (s *Segment) Detached(pid int32, now int64) {
	s.mu.Lock()
	s.nattch--
	s.dtime = now
	if pid != 0 {
		s.lpid = pid
	}
	gone := s.goneLocked()
	s.mu.Unlock()
	if gone {
		s.destroy()
	}
}

// goneLocked reports that s is to be destroyed, once.
func (s *Segment) goneLocked() bool {
	if s.removed || s.nattch > 0 || s.perm.Mode&linux.SHM_DEST == 0 {
		return false
	}
	s.removed = true
	return true
}

func (s *Segment) destroy() {
	s.ns.Segments.drop(s)
	s.dispose()
}

// Remove is IPC_RMID: the segment goes when nobody has it attached.
func (s *Segment) Remove(c *Caller) error {
	if err := s.lock(); err != nil {
		return err
	}
	if err := s.owns(c); err != nil {
		s.mu.Unlock()
		return err
	}
	s.perm.Mode |= linux.SHM_DEST
	s.perm.Key = linux.IPC_PRIVATE
	gone := s.goneLocked()
	s.mu.Unlock()
	s.ns.Segments.unkey(s)
	if gone {
		s.destroy()
	}
	return nil
}

// Set is IPC_SET.
func (s *Segment) Set(c *Caller, p *linux.IPCPerm) error {
	if err := s.lock(); err != nil {
		return err
	}
	defer s.mu.Unlock()
	if err := s.owns(c); err != nil {
		return err
	}
	s.ctime = c.Now
	return s.set(c, p)
}

// SetLocked is SHM_LOCK and SHM_UNLOCK: a mark and an account, for what is swapped is
// the host's business. account counts n bytes as locked by the caller's user, and says
// how to undo it: EPERM, ENOMEM.
func (s *Segment) SetLocked(c *Caller, on bool, account func(n uint64) (undo func(), err error)) error {
	if done, err := s.mark(c, on, nil); done || err != nil {
		return err
	}
	undo, err := account(s.Size) // it takes locks of its own
	if err != nil {
		return err
	}
	if done, err := s.mark(c, on, undo); !done || err != nil {
		undo()
		return err
	}
	return nil
}

// mark makes the segment locked, with unlock, or not locked. It reports whether it
// has: to be locked, it must not be yet, and unlock not nil.
func (s *Segment) mark(c *Caller, on bool, unlock func()) (done bool, err error) {
	if err := s.lock(); err != nil {
		return false, err
	}
	defer s.mu.Unlock()
	switch {
	case !c.Creds.HasCapIn(s.user, auth.CapIPCLock) && c.Creds.EUID != s.perm.UID && c.Creds.EUID != s.perm.CUID:
		return false, linux.EPERM
	case !on:
		s.unlockLocked()
		return true, nil
	case s.unlock != nil:
		return unlock == nil, nil
	case unlock == nil:
		return false, nil
	}
	s.perm.Mode |= linux.SHM_LOCKED
	s.unlock = unlock
	return true, nil
}

// Stat is IPC_STAT; anybody may if force (SHM_STAT_ANY).
func (s *Segment) Stat(c *Caller, force bool) (out linux.ShmidDS, err error) {
	if err := s.lock(); err != nil {
		return out, err
	}
	defer s.mu.Unlock()
	if !force {
		if err := s.may(c, 0o444); err != nil {
			return out, err
		}
	}
	return linux.ShmidDS{
		Perm: s.shown(c), Segsz: s.Size, Atime: s.atime, Dtime: s.dtime, Ctime: s.ctime,
		Cpid: s.cpid, Lpid: s.lpid, Nattch: s.nattch,
	}, nil
}

// Key is the segment's key, for the name in /proc/pid/maps.
func (s *Segment) Key() int32 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.perm.Key
}
