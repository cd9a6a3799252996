package fstest

import (
	"fmt"
	"slices"
	"time"

	"garrison/sentry/linux"
	"garrison/sentry/vfs"
)

var attrTests = []test{
	{"chmod", 0, chmod},
	{"chown", NoOwners, chown},
	{"access", NoOwners, access},
	{"sticky", NoOwners, sticky},
	{"setgid", NoOwners, setgid},
	{"times", NoTimes, times},
	{"atime", NoAtime | NoTimes, atime},
	{"utimes", 0, utimes},
	{"xattr", NoXattr, xattrs},
	{"statfs", 0, statfs},
	{"readonly", 0, readonly},
	{"identity", 0, identity},
}

func (e *env) chmod(name string, mode linux.FileMode) {
	e.Helper()
	p := e.resolve(name, 0)
	defer p.Drop()
	e.want("chmod "+name, vfs.Chmod(e.c, p, mode), nil)
}

func (e *env) chown(name string, uid, gid uint32) {
	e.Helper()
	p := e.resolve(name, vfs.NoFollow)
	defer p.Drop()
	e.want("chown "+name, vfs.Chown(e.c, p, uid, gid), nil)
}

func chmod(e *env) {
	e.write("/f", "")
	e.chmod("/f", 0o7751)
	e.equal("mode", e.attr("/f").Mode, linux.S_IFREG|0o7751)
	p := e.resolve("/f", 0)
	defer p.Drop()
	e.want("other", vfs.Chmod(e.c.As(1000, 1000), p, 0o777), linux.EPERM)
	e.want("mkdir", vfs.Mkdir(e.c, at("/d"), 0o1777), nil)
	e.equal("mode", e.attr("/d").Mode, linux.S_IFDIR|0o1777)
}

func chown(e *env) {
	e.write("/f", "")
	e.chmod("/f", 0o6755)
	e.chown("/f", 1000, 1001)
	a := e.attr("/f")
	e.equal("owner", [2]uint32{a.UID, a.GID}, [2]uint32{1000, 1001})
	e.equal("set-id bits", a.Mode, linux.S_IFREG|0o755)
	p := e.resolve("/f", 0)
	defer p.Drop()
	const keep = ^uint32(0)
	own := e.c.As(1000, 1001, 1002)
	e.want("give away", vfs.Chown(own, p, 1005, keep), linux.EPERM)
	e.want("to a strange group", vfs.Chown(own, p, keep, 1003), linux.EPERM)
	e.want("to a group", vfs.Chown(own, p, keep, 1002), nil)
	e.want("nothing", vfs.Chown(own, p, keep, keep), nil)
	e.want("symlink", vfs.MakeSymlink(e.c, "f", at("/l")), nil)
	e.chown("/l", 7, 8)
	e.equal("link", e.attr("/l").UID, uint32(7))
	e.equal("file", e.attr("/f").UID, uint32(1000))
}

func access(e *env) {
	e.mkdir("/d")
	e.write("/d/f", "x")
	e.chown("/d/f", 1000, 100)
	e.chmod("/d/f", 0o640)
	user, group, other := e.c.As(1000, 1), e.c.As(2000, 1, 100), e.c.As(3000, 1)
	try := func(c *Caller, f linux.OpenFlags) error {
		d, err := vfs.Open(c, at("/d/f"), vfs.OpenSpec{Flags: f})
		if err == nil {
			d.Release(c)
		}
		return err
	}
	e.want("user", try(user, linux.O_RDWR), nil)
	e.want("group", try(group, linux.O_RDONLY), nil)
	e.want("group", try(group, linux.O_RDWR), linux.EACCES)
	e.want("other", try(other, linux.O_RDONLY), linux.EACCES)
	e.chmod("/d/f", 0o047)
	e.want("user", try(user, linux.O_RDONLY), linux.EACCES) // the owner's bits, though others may
	e.want("root", try(e.c, linux.O_RDWR), nil)
	e.chmod("/d", 0o600)
	e.want("search", try(other, linux.O_RDONLY), linux.EACCES)
	e.chmod("/d", 0o711)
	e.want("search", try(other, linux.O_RDONLY), nil)
	_, err := vfs.Open(other, at("/d"), vfs.OpenSpec{})
	e.want("list", err, linux.EACCES)
	e.want("mkdir", vfs.Mkdir(other, at("/d/x"), 0o755), linux.EACCES)
	e.want("unlink", vfs.Unlink(other, at("/d/f")), linux.EACCES)
	p := e.resolve("/d/f", 0)
	defer p.Drop()
	e.chmod("/d/f", 0o644)
	e.want("exec", p.Permit(e.c, vfs.MayExec), linux.EACCES) // no x bit at all, even for root
	e.chmod("/d/f", 0o645)
	e.want("exec", p.Permit(e.c, vfs.MayExec), nil)
}

func sticky(e *env) {
	e.mkdir("/t")
	e.chmod("/t", 0o1777)
	a, b := e.c.As(1000, 1000), e.c.As(2000, 2000)
	d, err := vfs.Open(a, at("/t/a"), vfs.OpenSpec{Flags: linux.O_CREAT | linux.O_RDWR, Mode: 0o666})
	e.want("create", err, nil)
	d.Release(a)
	e.equal("owner", e.attr("/t/a").UID, uint32(1000))
	e.want("unlink", vfs.Unlink(b, at("/t/a")), linux.EPERM)
	e.want("rename", vfs.Rename(b, at("/t/a"), at("/t/b"), 0), linux.EPERM)
	e.want("unlink", vfs.Unlink(a, at("/t/a")), nil)
}

func setgid(e *env) {
	e.mkdir("/d")
	e.chown("/d", 0, 50)
	e.chmod("/d", 0o2777)
	a := e.c.As(1000, 1000)
	e.want("mkdir", vfs.Mkdir(a, at("/d/sub"), 0o755), nil)
	s := e.attr("/d/sub")
	e.equal("group", s.GID, uint32(50))
	e.equal("mode", s.Mode, linux.S_IFDIR|0o2755)
	e.write("/d/f", "x")
	e.equal("group", e.attr("/d/f").GID, uint32(50))
	// A write by another takes the set-id bits away.
	e.chown("/d/f", 1000, 1000)
	e.chmod("/d/f", 0o6777)
	d, err := vfs.Open(e.c.As(2000, 2000), at("/d/f"), vfs.OpenSpec{Flags: linux.O_WRONLY})
	e.want("open", err, nil)
	_, err = d.Write(e.c.As(2000, 2000), seq("y"))
	e.want("write", err, nil)
	d.Release(e.c)
	e.equal("mode", e.attr("/d/f").Mode, linux.S_IFREG|0o777)
}

func times(e *env) {
	e.mkdir("/d")
	e.write("/f", "x")
	t0 := e.attr("/f")
	d0 := e.attr("/d")
	e.c.Sleep(time.Second)
	e.write("/d/new", "")
	d1 := e.attr("/d")
	e.equal("mtime of a directory", d1.Mtime.Sec, d0.Mtime.Sec+1)
	e.equal("ctime of a directory", d1.Ctime.Sec, d0.Ctime.Sec+1)
	w := e.open("/f", linux.O_WRONLY, 0)
	e.wrote(w.Write(e.c, seq("y")))
	w.Release(e.c)
	t1 := e.attr("/f")
	e.equal("mtime", t1.Mtime.Sec, t0.Mtime.Sec+1)
	e.c.Sleep(time.Second)
	e.chmod("/f", 0o600)
	t2 := e.attr("/f")
	e.equal("mtime", t2.Mtime, t1.Mtime)
	e.equal("ctime", t2.Ctime.Sec, t1.Ctime.Sec+1)
	if e.lacks&NoBtime == 0 {
		e.equal("btime", t2.Btime, t0.Btime)
	}
}

func atime(e *env) {
	e.write("/f", "x")
	t0 := e.attr("/f")
	e.c.Sleep(time.Second)
	e.read("/f")
	t1 := e.attr("/f")
	e.equal("first", t1.Atime.Sec, t0.Atime.Sec+1)
	e.c.Sleep(time.Second)
	e.read("/f")
	e.equal("relatime", e.attr("/f").Atime, t1.Atime)
	e.c.Sleep(25 * time.Hour)
	e.read("/f")
	if a := e.attr("/f").Atime; a == t1.Atime {
		e.Fatal("not after a day")
	}
}

func utimes(e *env) {
	e.write("/f", "x")
	p := e.resolve("/f", 0)
	defer p.Drop()
	set := [2]linux.Timespec{{Sec: 1000, Nsec: 123456789}, {Sec: 2000, Nsec: 987654321}}
	e.want("utimes", vfs.Utimes(e.c, p, &set), nil)
	a := e.attr("/f")
	e.equal("atime", a.Atime, set[0])
	e.equal("mtime", a.Mtime, set[1])
	omit := [2]linux.Timespec{{Nsec: linux.UTIME_OMIT}, {Sec: 5}}
	e.want("omit", vfs.Utimes(e.c, p, &omit), nil)
	a = e.attr("/f")
	e.equal("atime", a.Atime, set[0])
	e.equal("mtime", a.Mtime, linux.Timespec{Sec: 5})
	e.want("bad", vfs.Utimes(e.c, p, &[2]linux.Timespec{{Nsec: 1e9}, {}}), linux.EINVAL)
	e.want("other", vfs.Utimes(e.c.As(1000, 1000), p, &set), linux.EPERM)
	e.want("other, now", vfs.Utimes(e.c.As(1000, 1000), p, nil), linux.EACCES)
	e.want("now", vfs.Utimes(e.c, p, nil), nil)
	if a := e.attr("/f"); a.Mtime.Sec == 5 {
		e.Fatal(a.Mtime)
	}
}

func xattrs(e *env) {
	e.write("/f", "x")
	p := e.resolve("/f", 0)
	defer p.Drop()
	_, err := vfs.GetXattr(e.c, p, "user.a")
	e.want("none", err, linux.ENODATA)
	e.want("replace", vfs.SetXattr(e.c, p, "user.a", []byte("1"), linux.XATTR_REPLACE), linux.ENODATA)
	e.want("set", vfs.SetXattr(e.c, p, "user.a", []byte("1"), 0), nil)
	e.want("create", vfs.SetXattr(e.c, p, "user.a", []byte("1"), linux.XATTR_CREATE), linux.EEXIST)
	e.want("set", vfs.SetXattr(e.c, p, "user.b", nil, 0), nil)
	v, err := vfs.GetXattr(e.c, p, "user.a")
	e.want("get", err, nil)
	e.equal("value", string(v), "1")
	names, err := vfs.ListXattr(e.c, p)
	e.want("list", err, nil)
	if !slices.Contains(names, "user.a") || !slices.Contains(names, "user.b") {
		e.Fatal(names)
	}
	e.want("remove", vfs.RemoveXattr(e.c, p, "user.a"), nil)
	e.want("remove", vfs.RemoveXattr(e.c, p, "user.a"), linux.ENODATA)
	e.want("namespace", vfs.SetXattr(e.c, p, "nonsense.a", nil, 0), linux.EOPNOTSUPP)
	e.chmod("/f", 0o600)
	e.want("other", vfs.SetXattr(e.c.As(1000, 1000), p, "user.c", nil, 0), linux.EACCES)
	e.want("symlink", vfs.MakeSymlink(e.c, "f", at("/l")), nil)
	l := e.resolve("/l", vfs.NoFollow)
	defer l.Drop()
	e.want("of a link", vfs.SetXattr(e.c, l, "user.a", nil, 0), linux.EPERM)
}

func statfs(e *env) {
	p := e.resolve("/", 0)
	defer p.Drop()
	st, err := p.Filesystem().Statfs(e.c, p.Mount())
	e.want("statfs", err, nil)
	if st.Type == 0 || st.Bsize == 0 || st.Namelen < 255 || st.Bfree > st.Blocks {
		e.Fatalf("%+v", st)
	}
}

func readonly(e *env) {
	e.mkdir("/d")
	e.write("/f", "x")
	w := e.open("/f", linux.O_WRONLY, 0)
	root := e.c.Place.Root()
	defer root.Drop()
	e.want("remount", vfs.Remount(e.c, root, linux.MS_REMOUNT|linux.MS_BIND|linux.MS_RDONLY, nil), linux.EBUSY)
	w.Release(e.c)
	e.want("remount", vfs.Remount(e.c, root, linux.MS_REMOUNT|linux.MS_BIND|linux.MS_RDONLY, nil), nil)
	e.openErr("/f", linux.O_WRONLY, linux.EROFS)
	e.openErr("/g", linux.O_CREAT|linux.O_WRONLY, linux.EROFS)
	e.openErr("/f", linux.O_CREAT|linux.O_RDONLY, nil)
	e.want("mkdir", vfs.Mkdir(e.c, at("/e"), 0o755), linux.EROFS)
	e.want("mkdir", vfs.Mkdir(e.c, at("/d"), 0o755), linux.EEXIST)
	e.want("rmdir", vfs.Rmdir(e.c, at("/d")), linux.EROFS)
	e.want("unlink", vfs.Unlink(e.c, at("/f")), linux.EROFS)
	e.want("rename", vfs.Rename(e.c, at("/f"), at("/g"), 0), linux.EROFS)
	p := e.resolve("/f", 0)
	defer p.Drop()
	e.want("chmod", vfs.Chmod(e.c, p, 0o600), linux.EROFS)
	e.want("access", p.Permit(e.c, vfs.MayWrite), linux.EROFS)
	e.equal("content", e.read("/f"), "x")
	e.want("remount", vfs.Remount(e.c, root, linux.MS_REMOUNT|linux.MS_BIND, nil), nil)
	e.write("/f", "y")
}

func identity(e *env) {
	inos := map[uint64]string{}
	for i := range 20 {
		name := fmt.Sprint("/f", i)
		e.write(name, "")
		a := e.attr(name)
		if other, ok := inos[a.Ino]; ok {
			e.Fatalf("%s and %s have one inode number", name, other)
		}
		inos[a.Ino] = name
		if e.lacks&NoStableIno == 0 {
			e.equal("ino", e.attr(name).Ino, a.Ino)
		}
		if a.Nlink != 1 || a.Dev == 0 || a.Mode != linux.S_IFREG|0o644 {
			e.Fatalf("%+v", a)
		}
	}
}
