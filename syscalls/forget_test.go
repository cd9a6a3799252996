package syscalls_test

import (
	"fmt"
	"testing"

	"garrison/fs/proc"
	"garrison/sentry/auth"
	"garrison/sentry/linux"
	"garrison/sentry/vfs"
	"garrison/syscalls"
	"garrison/test/scripted"
)

// TestForgotten looks at processes and threads in /proc while they are there: none of
// their names is kept when they are not any more.
func TestForgotten(t *testing.T) {
	var (
		w  *scripted.World
		at *vfs.Internal
	)
	look := func(format string, a ...any) {
		p, err := vfs.Resolve(at, vfs.At{Name: fmt.Sprintf(format, a...)})
		if err != nil {
			t.Errorf(format+": %v", append(a, err)...)
			return
		}
		p.Drop()
	}
	w = scripted.New(t, &syscalls.Table, func(g *scripted.Guest) {
		look("/proc/1/task")
		names := w.K.VFS.Names()
		for range 3 {
			pid := g.Fork(func(g *scripted.Guest) { g.Call(sysPause) })
			look("/proc/%d/status", pid)
			look("/proc/%d/task/%[1]d/ns", pid)
			if w.K.VFS.Names() < names+5 {
				t.Error("the cache does not count what it knows")
			}
			g.Call(sysKill, uint64(pid), uint64(linux.SIGKILL))
			wait4(g, pid, 0)
			want(t, "names after a process", w.K.VFS.Names(), names)

			goOn := make(chan struct{})
			tid := g.Clone(thread, func(g *scripted.Guest) {
				<-goOn
				g.Call(sysExit, 0)
			})
			look("/proc/%d/comm", tid)
			look("/proc/1/task/%d/stat", tid)
			close(goOn)
			for w.K.VFS.Names() > names { // or else init does not end
				ms(g, 1)
			}
		}
		g.Call(sysExitGroup, 0)
	})
	at = &vfs.Internal{Who: auth.Root(w.K.RootUserNS()), Place: vfs.NewFSContext(w.Container.Mounts)}
	typ := proc.Type(w.K, &proc.Config{Params: proc.NewParams()})
	fs, err := w.K.VFS.NewFilesystem(at, typ, &vfs.NewArgs{})
	if err != nil {
		t.Fatal(err)
	}
	defer fs.DecRef()
	if err := vfs.Mkdir(at, vfs.At{Name: "/proc"}, 0o755); err != nil {
		t.Fatal(err)
	}
	p, err := vfs.Resolve(at, vfs.At{Name: "/proc"})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Drop()
	if err := vfs.MountFS(at, p, fs, "proc", 0); err != nil {
		t.Fatal(err)
	}
	if st := w.Run(); st != 0 {
		t.Errorf("init ended with status %#x", uint32(st))
	}
}
