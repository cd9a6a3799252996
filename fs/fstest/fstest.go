// Package fstest is the acceptance suite of filesystems: what every one of them must
// do, seen through vfs, as a program would see it through system calls.
package fstest

import (
	"slices"
	"sort"
	"testing"

	"garrison/sentry/linux"
	"garrison/sentry/usermem"
	"garrison/sentry/vfs"
)

// Lacks is what a filesystem can't do: those tests are left out.
type Lacks uint

// Abilities that may be lacking.
const (
	NoLinks     Lacks = 1 << iota // hard links
	NoTmpfile                     // O_TMPFILE
	NoXattr                       // extended attributes (user.)
	NoExchange                    // RENAME_EXCHANGE
	NoAllocate                    // fallocate
	NoPunch                       // holes punched in files
	NoHoles                       // SEEK_DATA, SEEK_HOLE
	NoDevices                     // mknod of devices
	NoOwners                      // chown to anybody
	NoBtime                       // time of birth
	NoDirNlink                    // a directory's link count tells its subdirectories
	NoAtime                       // access times are not as relatime says, at once
	NoTimes                       // times come from another clock than the caller's
	NoUnlinked                    // open files live on when unlinked
	NoDirRename                   // rename of directories gives EXDEV
	NoStableIno                   // inode numbers change while a file is looked at
)

// Test runs the suite. mk makes a new filesystem with an empty root directory, owned
// by root with mode 0755 or more; its reference becomes the suite's.
func Test(t *testing.T, mk func(t *testing.T, s *vfs.System) *vfs.Filesystem, lacks Lacks) {
	for _, x := range tests {
		t.Run(x.name, func(t *testing.T) {
			if lacks&x.needs != 0 {
				t.Skip("this filesystem can't")
			}
			x.run(newEnv(t, mk, lacks))
		})
	}
}

type test struct {
	name  string
	needs Lacks
	run   func(*env)
}

var tests = slices.Concat(nameTests, dataTests, attrTests, aclTests, renameTests)

// env is one test's filesystem, mounted as root, and its caller.
type env struct {
	*testing.T
	s     *vfs.System
	ns    *vfs.MountNamespace
	c     *Caller
	lacks Lacks
}

func newEnv(t *testing.T, mk func(t *testing.T, s *vfs.System) *vfs.Filesystem, lacks Lacks) *env {
	s := vfs.New(nil)
	fs := mk(t, s)
	ns := s.NewMountNamespace(fs, "test", 0)
	fs.DecRef()
	t.Cleanup(ns.DecRef)
	e := &env{T: t, s: s, ns: ns, c: NewCaller(t, ns), lacks: lacks}
	e.c.Place.SetUmask(0)
	return e
}

// want fails unless err is errno (nil: none).
func (e *env) want(what string, err error, errno error) {
	e.Helper()
	if err != errno {
		e.Fatalf("%s: %v, want %v", what, err, errno)
	}
}

func at(name string) vfs.At { return vfs.At{Name: name} }

func (e *env) open(name string, flags linux.OpenFlags, mode linux.FileMode) *vfs.FileDescription {
	e.Helper()
	d, err := vfs.Open(e.c, at(name), vfs.OpenSpec{Flags: flags, Mode: mode})
	if err != nil {
		e.Fatalf("open %s: %v", name, err)
	}
	return d
}

func (e *env) openErr(name string, flags linux.OpenFlags, errno error) {
	e.Helper()
	d, err := vfs.Open(e.c, at(name), vfs.OpenSpec{Flags: flags, Mode: 0o644})
	if err == nil {
		d.Release(e.c)
	}
	e.want("open "+name, err, errno)
}

func (e *env) write(name, text string) {
	e.Helper()
	d := e.open(name, linux.O_CREAT|linux.O_TRUNC|linux.O_WRONLY, 0o644)
	defer d.Release(e.c)
	n, err := d.Write(e.c, usermem.FromBytes([]byte(text)))
	if err != nil || n != int64(len(text)) {
		e.Fatalf("write %s: %d %v", name, n, err)
	}
}

func (e *env) read(name string) string {
	e.Helper()
	d := e.open(name, linux.O_RDONLY, 0)
	defer d.Release(e.c)
	return e.readAll(d)
}

func (e *env) readAll(d *vfs.FileDescription) string {
	e.Helper()
	var out []byte
	buf := make([]byte, 1000)
	for {
		n, err := d.Read(e.c, usermem.FromBytes(buf))
		if err != nil {
			e.Fatalf("read: %v", err)
		}
		if n == 0 {
			return string(out)
		}
		out = append(out, buf[:n]...)
	}
}

func (e *env) mkdir(name string) {
	e.Helper()
	e.want("mkdir "+name, vfs.Mkdir(e.c, at(name), 0o755), nil)
}

func (e *env) resolve(name string, f vfs.ResolveFlags) vfs.Path {
	e.Helper()
	p, err := vfs.Resolve(e.c, vfs.At{Name: name, Flags: f})
	if err != nil {
		e.Fatalf("resolve %s: %v", name, err)
	}
	return p
}

func (e *env) attr(name string) vfs.Attr {
	e.Helper()
	p := e.resolve(name, vfs.NoFollow)
	defer p.Drop()
	a, err := p.Attr(e.c)
	if err != nil {
		e.Fatalf("stat %s: %v", name, err)
	}
	return a
}

// gone checks that name does not exist.
func (e *env) gone(name string) {
	e.Helper()
	p, err := vfs.Resolve(e.c, vfs.At{Name: name, Flags: vfs.NoFollow})
	p.Drop()
	e.want("resolve "+name, err, linux.ENOENT)
}

// list is the names in a directory, sorted, without "." and "..".
func (e *env) list(name string) []string {
	e.Helper()
	d := e.open(name, linux.O_RDONLY|linux.O_DIRECTORY, 0)
	defer d.Release(e.c)
	var names []string
	dots := 0
	err := d.List(e.c, func(x vfs.Dirent) bool {
		if x.Name == "." || x.Name == ".." {
			dots++
		} else {
			names = append(names, x.Name)
		}
		return true
	})
	if err != nil || dots != 2 {
		e.Fatalf("list %s: %v, %d dots", name, err, dots)
	}
	sort.Strings(names)
	return names
}

func (e *env) equal(what string, got, want any) {
	e.Helper()
	if a, ok := got.([]string); ok {
		if !slices.Equal(a, want.([]string)) {
			e.Fatalf("%s: %q, want %q", what, got, want)
		}
		return
	}
	if got != want {
		e.Fatalf("%s: %v, want %v", what, got, want)
	}
}
