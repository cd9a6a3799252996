package goferfs

import (
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"garrison/gofer"
	"garrison/gofer/wire"
	"garrison/sentry/auth"
	"garrison/sentry/linux"
	"garrison/sentry/vfs"
)

// acl is a list in which user 1001 may do perm.
func acl(owner, perm, group, mask, other vfs.Access) vfs.ACL {
	const none = linux.ACL_UNDEFINED_ID
	return vfs.ACL{{Tag: linux.ACL_USER_OBJ, Perm: owner, ID: none}, {Tag: linux.ACL_USER, Perm: perm, ID: 1001},
		{Tag: linux.ACL_GROUP_OBJ, Perm: group, ID: none}, {Tag: linux.ACL_MASK, Perm: mask, ID: none}, {Tag: linux.ACL_OTHER, Perm: other, ID: none}}
}

// hostSet gives a file of the host a list.
func (w *world) hostSet(name string, kind vfs.ACLKind, list vfs.ACL) {
	w.Helper()
	w.ok(unix.Setxattr(w.host+name, kind.Name(), list.Encode(), 0))
}

// hostACL is the list that a file of the host has.
func (w *world) hostACL(name string, kind vfs.ACLKind) vfs.ACL {
	w.Helper()
	b := make([]byte, 1024)
	n, err := unix.Getxattr(w.host+name, kind.Name(), b)
	if err == unix.ENODATA {
		return nil
	}
	w.ok(err)
	list, err := vfs.DecodeACL(b[:n])
	w.ok(err)
	return list
}

// asks is how many messages f makes the gofer get.
func (w *world) asks(f func()) (n uint64) {
	count := func() (n uint64) {
		for op := range wire.NumOps {
			n += w.fs.client.Count(op)
		}
		return n
	}
	before := count()
	f()
	return count() - before
}

// as is a user at the world's place who has no capabilities.
func (w *world) as(uid uint32) *vfs.Internal {
	return &vfs.Internal{Who: &auth.Creds{FSUID: uid, FSGID: uid}, Place: w.Internal.Place}
}

// may is what a user is told when opening a file to read.
func (w *world) may(uid uint32, name string) error {
	c := w.as(uid)
	d, err := vfs.Open(c, at(name), vfs.OpenSpec{})
	if err == nil {
		d.Release(c)
	}
	return err
}

// A host directory's default list holds for all that the guest makes in it, at once or later.
func TestHostDefaultACL(t *testing.T) {
	for _, shared := range []bool{false, true} {
		t.Run(fmt.Sprintf("shared=%v", shared), func(t *testing.T) {
			w := newWorld(t, func(m *gofer.Mount) { m.Shared = shared })
			w.Internal.Place.SetUmask(0o077)
			def := acl(7, 6, 5, 7, 5)
			w.ok(os.Mkdir(w.host+"/d", 0o755))
			w.hostSet("/d", vfs.DefaultACL, def)
			w.list("/d") // its names are known: files could be made later
			for i := range 10 {
				name := fmt.Sprintf("/d/%d", i)
				w.ok(vfs.Mkdir(w, at(name), 0o755))
				d := w.open(name+"/f", linux.O_CREAT|linux.O_EXCL|linux.O_RDWR)
				w.write(d, "text")
				d.Release(w)
				w.ok(vfs.MakeSymlink(w, "f", at(name+"/l")))
			}
			w.ok(w.fs.settle(nil))
			for i := range 10 {
				name := fmt.Sprintf("/d/%d", i)
				w.same(name)
				w.same(name + "/f")
				if m := w.mustStat(name + "/f").Mode.Perm(); m != 0o664 {
					t.Errorf("%s: %o", name, m)
				}
				if got := w.hostACL(name, vfs.DefaultACL); !slices.Equal(got, def) {
					t.Errorf("%s: %v", name, got)
				}
				if got := w.hostACL(name+"/f", vfs.AccessACL); !slices.Equal(got, acl(6, 6, 5, 6, 4)) {
					t.Errorf("%s: %v", name, got)
				}
			}
		})
	}
}

// The guest's lists are the host's, also of files that the host does not have yet.
func TestACLOfMade(t *testing.T) {
	w := newDeaf(t)
	w.list("/")
	w.open("/first", linux.O_CREAT|linux.O_RDWR).Release(w) // from now on the owners are known
	for i := range 10 {
		name := fmt.Sprintf("/f%d", i)
		w.make(name, 0o640)
		p, err := vfs.Resolve(w, at(name))
		w.ok(err)
		w.ok(vfs.SetXattr(w, p, vfs.AccessACL.Name(), acl(6, 7, 4, 7, 0).Encode(), 0))
		if err := w.may(1001, name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		w.ok(vfs.Chmod(w, p, 0o600)) // a moment later on the host, and now for the guest
		if err := w.may(1001, name); err != linux.EACCES {
			t.Errorf("%s: %v", name, err)
		}
		w.ok(vfs.Chmod(w, p, 0o650))
		if err := w.may(1001, name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		p.Drop()
	}
	w.ok(w.fs.settle(nil))
	for i := range 10 {
		name := fmt.Sprintf("/f%d", i)
		w.same(name)
		if got := w.hostACL(name, vfs.AccessACL); !slices.Equal(got, acl(6, 7, 4, 5, 0)) {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// Who is neither owner nor privileged asks no more for files that are known than others do,
// whether they have lists or not.
func TestACLAsksOnce(t *testing.T) {
	w := newDeaf(t)
	w.ok(os.MkdirAll(w.host+"/a/b", 0o755))
	for _, name := range []string{"/a/b/plain", "/a/b/listed", "/a/b/marked"} {
		w.hostWrite(name, "text")
	}
	w.hostSet("/a/b/listed", vfs.AccessACL, acl(6, 4, 0, 4, 0))
	w.ok(unix.Setxattr(w.host+"/a/b/marked", "user.x", []byte("y"), 0))
	all := func() {
		for name, want := range map[string]error{"/a/b/plain": nil, "/a/b/marked": nil, "/a/b/listed": linux.EACCES} {
			if err := w.may(1002, name); err != want {
				t.Errorf("%s: %v", name, err)
			}
			if _, err := w.stat(name); err != nil {
				t.Error(err)
			}
		}
		if err := w.may(1001, "/a/b/listed"); err != nil {
			t.Errorf("by name: %v", err)
		}
	}
	first := w.asks(all)
	if n := w.asks(all); n != 0 {
		t.Errorf("%d messages the second time, %d the first", n, first)
	}
	// Walked to, a file that has no lists costs nothing more than its walk and its open.
	w.hostWrite("/a/b/another", "text")
	if n := w.asks(func() { w.ok(w.may(1002, "/a/b/another")) }); n > 2 {
		t.Errorf("%d messages for one more file", n)
	}
}

// Files of a directory that was listed are asked about together.
func TestACLAskedTogether(t *testing.T) {
	w := newDeaf(t)
	const files = 200
	w.ok(os.Mkdir(w.host+"/d", 0o755))
	for i := range files {
		w.hostWrite(fmt.Sprintf("/d/%03d", i), "x")
	}
	w.hostSet("/d/100", vfs.AccessACL, acl(6, 0, 4, 4, 4))
	w.list("/d")
	d, err := asDir(w.inode("/d"))
	w.ok(err)
	w.ok(d.fill(w))
	access := func(uid uint32) {
		for i := range files {
			p, err := vfs.Resolve(w.as(uid), at(fmt.Sprintf("/d/%03d", i)))
			w.ok(err)
			if err := p.Permit(w.as(uid), vfs.MayRead); (err != nil) != (i == 100 && uid == 1001) {
				t.Errorf("%d: %v", i, err)
			}
			p.Drop()
		}
	}
	if n := w.asks(func() { access(1001) }); n > 16 {
		t.Errorf("%d messages for %d files", n, files)
	}
	if n := w.asks(func() { access(1002) }); n != 0 {
		t.Errorf("%d messages for what is known", n)
	}
}

// What others do to lists on the host is told.
func TestACLChangedByOthers(t *testing.T) {
	w := newWorld(t, nil)
	w.hostWrite("/f", "text")
	w.ok(os.Mkdir(w.host+"/d", 0o755))
	until := func(what string, done func() bool) {
		t.Helper()
		for end := time.Now().Add(20 * time.Second); !done(); time.Sleep(20 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatal(what)
			}
		}
	}
	w.list("/")
	w.ok(w.may(1001, "/f"))
	_, err := vfs.Resolve(w.as(1001), at("/d/none"))
	if err != linux.ENOENT {
		t.Fatal(err)
	}
	time.Sleep(2 * time.Second) // watching has begun
	w.hostSet("/f", vfs.AccessACL, acl(6, 0, 4, 4, 4))
	w.hostSet("/d", vfs.AccessACL, acl(7, 0, 5, 5, 5))
	until("a list on a file", func() bool { return w.may(1001, "/f") == linux.EACCES })
	until("a list on a directory", func() bool {
		_, err := vfs.Resolve(w.as(1001), at("/d/none"))
		return err == linux.EACCES
	})
	w.hostSet("/f", vfs.AccessACL, acl(6, 4, 4, 4, 4))
	until("another list", func() bool { return w.may(1001, "/f") == nil })
	w.hostSet("/d", vfs.DefaultACL, acl(7, 7, 7, 7, 7))
	until("a default list", func() bool {
		w.ok(vfs.Mkdir(w, at("/d/x"), 0o777))
		defer func() { w.ok(vfs.Rmdir(w, at("/d/x"))) }()
		p, err := vfs.Resolve(w, at("/d/x"))
		w.ok(err)
		defer p.Drop()
		_, err = vfs.GetXattr(w, p, vfs.DefaultACL.Name())
		return err == nil
	})
}
