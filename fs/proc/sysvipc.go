package proc

import (
	"bytes"
	"fmt"

	"garrison/sentry/ipc"
	"garrison/sentry/linux"
	"garrison/sentry/vfs"
)

// sysvipcTable is /proc/sysvipc: what ipcs(1) reads. It shows the namespace of
// whoever reads.
func sysvipcTable() []rootEntry {
	list := func(name, header string, show func(w *bytes.Buffer, ns *ipc.Namespace, c *ipc.Caller)) rootEntry {
		return rootEntry{Name: name, Show: func(_ *FS, c vfs.Ctx, w *bytes.Buffer) error {
			w.WriteString(header)
			if t := caller(c); t != nil {
				show(w, t.Namespaces().IPC.SysV, t.IPCCaller())
			}
			return nil
		}}
	}
	return []rootEntry{
		list("msg", "       key      msqid perms      cbytes       qnum lspid lrpid   uid   gid  cuid  cgid      stime      rtime      ctime\n", showMsg),
		list("sem", "       key      semid perms      nsems   uid   gid  cuid  cgid      otime      ctime\n", showSem),
		list("shm", "       key      shmid perms                  size  cpid  lpid nattch   uid   gid  cuid  cgid      atime      dtime      ctime                   rss                  swap\n", showShm),
	}
}

// owners is the columns of who owns an object.
func owners(p *linux.IPCPerm) string {
	return fmt.Sprintf("%5d %5d %5d %5d", p.UID, p.GID, p.CUID, p.CGID)
}

func showMsg(w *bytes.Buffer, ns *ipc.Namespace, c *ipc.Caller) {
	for _, q := range ns.Queues.All() {
		if d, err := q.Stat(c, true); err == nil {
			fmt.Fprintf(w, "%10d %10d  %4o  %10d %10d %5d %5d %s %10d %10d %10d\n", d.Perm.Key, q.ID, d.Perm.Mode,
				d.Cbytes, d.Qnum, d.Lspid, d.Lrpid, owners(&d.Perm), d.Stime, d.Rtime, d.Ctime)
		}
	}
}

func showSem(w *bytes.Buffer, ns *ipc.Namespace, c *ipc.Caller) {
	for _, s := range ns.Sets.All() {
		if d, err := s.Stat(c, true); err == nil {
			fmt.Fprintf(w, "%10d %10d  %4o %10d %s %10d %10d\n", d.Perm.Key, s.ID, d.Perm.Mode, d.Nsems,
				owners(&d.Perm), d.Otime, d.Ctime)
		}
	}
}

func showShm(w *bytes.Buffer, ns *ipc.Namespace, c *ipc.Caller) {
	for _, s := range ns.Segments.All() {
		if d, err := s.Stat(c, true); err == nil {
			fmt.Fprintf(w, "%10d %10d  %4o %21d %5d %5d  %5d %s %10d %10d %10d %21d %21d\n", d.Perm.Key, s.ID, d.Perm.Mode,
				d.Segsz, d.Cpid, d.Lpid, d.Nattch, owners(&d.Perm), d.Atime, d.Dtime, d.Ctime, 0, 0)
		}
	}
}
