package memfile

import "golang.org/x/sys/unix"

// CloseUnused unmaps and closes f if no page has references and no host call uses one,
// and reports whether it did. Who still holds an empty file of f finds no more memory.
func (f *File) CloseUnused() bool {
	f.flushing <- struct{}{} // nobody gives memory back meanwhile, and nobody does later
	defer func() { <-f.flushing }()
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.inUseLocked() {
		return false
	}
	f.closeLocked()
	return true
}

// Close is CloseUnused of a file that nothing uses any more.
func (f *File) Close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closeLocked()
}

func (f *File) closeLocked() {
	if f.closed {
		return
	}
	f.closed = true
	f.timer.Stop()
	f.cooler.Stop()
	f.windows.unmap()
	unix.Close(f.fd)
	unix.Close(f.ro)
}

func (f *File) inUseLocked() bool {
	for _, u := range f.uses.All() {
		if u.n > 0 {
			return true
		}
	}
	return len(f.pins) > 0
}
