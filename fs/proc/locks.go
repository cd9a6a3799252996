package proc

import (
	"bytes"
	"fmt"
	"math"

	"garrison/sentry/linux"
	"garrison/sentry/vfs"
)

// showLocks is /proc/locks, proc_locks(5): those of processes that the mount's
// namespace knows, and those of open files. The others have numbers all the same.
func showLocks(fs *FS, c vfs.Ctx, w *bytes.Buffer) error {
	id := 0
	for _, l := range fs.k.VFS.Locks(c) {
		if l.Depth == 0 {
			id++
		}
		pid := fs.lockPID(&l)
		if pid == 0 {
			continue
		}
		fmt.Fprintf(w, "%d: ", id)
		if l.Depth > 0 {
			fmt.Fprintf(w, "%*s", l.Depth+2, "-> ")
		}
		writeLock(w, &l, pid)
	}
	return nil
}

// lockPID is the process that took l, -1 for an open file's, 0 for one that is gone.
func (fs *FS) lockPID(l *vfs.LockInfo) int32 {
	if l.Kind == vfs.OpenFileLock {
		return -1
	}
	return fs.k.HolderIn(fs.ns, l.Holder)
}

// writeLock writes what follows a lock's number.
func writeLock(w *bytes.Buffer, l *vfs.LockInfo, pid int32) {
	switch {
	case l.Kind == vfs.PosixLock:
		w.WriteString("POSIX  ADVISORY  ")
	case l.Kind == vfs.OpenFileLock:
		w.WriteString("OFDLCK ADVISORY  ")
	case l.Kind == vfs.WholeFileLock:
		w.WriteString("FLOCK  ADVISORY  ")
	case l.Breaking:
		w.WriteString("LEASE  BREAKING  ")
	case l.Depth > 0:
		w.WriteString("LEASE  BREAKER   ")
	default:
		w.WriteString("LEASE  ACTIVE    ")
	}
	w.WriteString(map[int]string{linux.F_RDLCK: "READ", linux.F_WRLCK: "WRITE", linux.F_UNLCK: "UNLCK"}[l.Type])
	if l.Dev != 0 {
		fmt.Fprintf(w, " %d %02x:%02x:%d %d", pid, linux.Major(l.Dev), linux.Minor(l.Dev), l.Ino, l.Start)
	} else {
		fmt.Fprintf(w, " %d <none>:0 %d", pid, l.Start)
	}
	if l.End == math.MaxInt64 {
		w.WriteString(" EOF\n")
	} else {
		fmt.Fprintf(w, " %d\n", l.End)
	}
}

// showFileLocks is the lines "lock:" of fdinfo.
func showFileLocks(f *openFD, d *vfs.FileDescription, c vfs.Ctx, w *bytes.Buffer) {
	for i, l := range d.Locks(c, f.p.task().FDs()) {
		fmt.Fprintf(w, "lock:\t%d: ", i+1)
		writeLock(w, &l, f.p.fs.lockPID(&l))
	}
}
