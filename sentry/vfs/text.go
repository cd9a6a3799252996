package vfs

import (
	"sync"

	"garrison/sentry/linux"
)

// textTable counts, for each inode of a filesystem, those that write to it, or those that
// deny it as they execute it: never both at a time (i_writecount).
type textTable struct {
	mu sync.Mutex
	m  map[Inode]int // protected by mu: writers, or minus the deniers; never 0
}

// add counts one more of those that by (1 or -1) stands for: false if there are others.
func (t *textTable) add(i Inode, by int) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.m[i]*by < 0 {
		return false
	}
	if t.m == nil {
		t.m = map[Inode]int{}
	}
	t.m[i] += by
	return true
}

// remove undoes add.
func (t *textTable) remove(i Inode, by int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.m[i] -= by; t.m[i] == 0 {
		delete(t.m, i)
	}
}

// writers reports whether somebody writes to i.
func (t *textTable) writers(i Inode) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.m[i] > 0
}

const (
	writes = 1
	denies = -1
)

// beginWrite counts a writer of p, if it is a regular file: ETXTBSY if it is executed.
func (p Path) beginWrite() error {
	if p.d.typ == linux.S_IFREG && !p.d.fs.text.add(p.d.node, writes) {
		return linux.ETXTBSY
	}
	return nil
}

// endWrite undoes beginWrite.
func (p Path) endWrite() {
	if p.d.typ == linux.S_IFREG {
		p.d.fs.text.remove(p.d.node, writes)
	}
}

// DenyWrite has nobody open the file for writing, nor truncate it by name, until
// AllowWrite, or until d is closed: it is a program. ETXTBSY if somebody writes to it.
func (d *FileDescription) DenyWrite() error {
	if !d.path.d.fs.text.add(d.path.d.node, denies) {
		return linux.ETXTBSY
	}
	d.denies.Store(true)
	return nil
}

// AllowWrite undoes DenyWrite.
func (d *FileDescription) AllowWrite() {
	if d.denies.Swap(false) {
		d.path.d.fs.text.remove(d.path.d.node, denies)
	}
}

// wrote has d, which is open for writing, be a writer until it is closed: beginWrite has
// counted it.
func (d *FileDescription) wrote() *FileDescription {
	d.counted = d.path.d.typ == linux.S_IFREG
	return d
}

// made has d, of a new file, be a writer if it is open for writing.
func (d *FileDescription) made() *FileDescription {
	if d.Flags().Writable() && d.path.beginWrite() == nil {
		return d.wrote()
	}
	return d
}

// closeText gives up what d counts for.
func (d *FileDescription) closeText() {
	d.AllowWrite()
	if d.counted {
		d.path.endWrite()
	}
}
