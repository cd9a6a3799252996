package goferfs

import (
	"os"
	"testing"

	"garrison/gofer"
	"garrison/gofer/wire"
	"garrison/platform/arch"
	"garrison/sentry/linux"
	"garrison/sentry/usermem"
	"garrison/sentry/vfs"
)

// On overlayfs a descriptor that is older than the copy-up shows the old file for ever.
// Whatever copies up must not leave a reader with one.
func TestCopyUp(t *testing.T) {
	for name, copyUp := range map[string]func(w *world, p vfs.Path){
		"write":    func(*world, vfs.Path) {},
		"chmod":    func(w *world, p vfs.Path) { w.ok(vfs.Chmod(w, p, 0o600)) },
		"truncate": func(w *world, p vfs.Path) { w.ok(vfs.Truncate(w, p, 2)) },
		"link":     func(w *world, p vfs.Path) { w.ok(vfs.Link(w, p, at("/other"))) },
		"rename":   func(w *world, _ vfs.Path) { w.ok(vfs.Rename(w, at("/f"), at("/f2"), 0)) },
		"exchange": func(w *world, _ vfs.Path) { w.ok(vfs.Rename(w, at("/g"), at("/f"), linux.RENAME_EXCHANGE)) },
		"utimes":   func(w *world, p vfs.Path) { w.ok(vfs.Utimes(w, p, nil)) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := overlay(t, func(lower string) {
				for _, name := range []string{"/f", "/g"} {
					if err := os.WriteFile(lower+name, []byte("old"), 0o644); err != nil {
						t.Fatal(err)
					}
				}
			})
			w := &world{TB: t, host: dir}
			w.mount(gofer.Mount{Path: dir})
			r := w.open("/f", linux.O_RDONLY)
			defer r.Release(w)
			if got := w.read(r, 0); got != "old" {
				t.Fatalf("read %q", got)
			}
			m, err := r.Mmap(w, vfs.MapSpec{Len: 4096, Access: arch.Read, Max: arch.Read})
			w.ok(err)
			copyUp(w, r.Path())
			d, err := vfs.OpenPath(w, r.Path(), linux.O_WRONLY)
			w.ok(err)
			if _, err := d.WriteAt(w, usermem.FromBytes([]byte("new")), 0); err != nil {
				t.Fatal(err)
			}
			d.Release(w)
			if got := w.read(r, 0); got != "new" {
				t.Errorf("an open file reads %q", got)
			}
			p, err := m.Pages(0, 4096, arch.Read)
			w.ok(err)
			b := make([]byte, 3)
			f := os.NewFile(uintptr(dup(t, p.Host.FD())), "mapped")
			defer f.Close()
			if _, err := f.ReadAt(b, 0); err != nil || string(b) != "new" {
				t.Errorf("a mapping shows %q, %v", b, err)
			}
		})
	}
}

// Nor must a descriptor that was opened along with another file's before the copy-up, and
// comes after it.
func TestCopyUpAlong(t *testing.T) {
	for _, copyUp := range []bool{false, true} {
		dir := overlay(t, func(lower string) {
			if err := os.WriteFile(lower+"/f", nil, 0o644); err != nil {
				t.Fatal(err)
			}
		})
		w := &world{TB: t, host: dir}
		w.mount(gofer.Mount{Path: dir})
		p, err := vfs.Resolve(w, at("/f"))
		w.ok(err)
		f := w.inode("/f").(*file)
		o := opening([]*file{f})
		var r wire.OpensResp
		var fds wire.FDs
		w.ok(w.fs.client.Call(nil, &wire.OpensReq{IDs: o.ids}, &r, &fds))
		if copyUp {
			w.ok(vfs.Chmod(w, p, 0o600))
		}
		p.Drop()
		if n := o.keep(r.Opened, &fds); n != 1 {
			t.Errorf("%d files were opened", n)
		}
		fd := f.bytes().current(false)
		if (fd == nil) != copyUp {
			t.Errorf("copied up %v: the descriptor is %v", copyUp, fd)
		}
		if fd != nil {
			fd.DecRef()
		}
	}
}
