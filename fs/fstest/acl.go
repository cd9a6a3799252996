package fstest

import (
	"fmt"
	"slices"

	"garrison/sentry/linux"
	"garrison/sentry/vfs"
)

var aclTests = []test{
	{"acl", NoXattr | NoOwners, aclAccess},
	{"acl-mode", NoXattr | NoOwners, aclMode},
	{"acl-default", NoXattr | NoOwners, aclDefault},
	{"acl-row", NoXattr | NoOwners, aclRow},
}

// entry is one of a list's; who has no id has any here.
func entry(tag uint16, id uint32, perm vfs.Access) vfs.ACLEntry {
	if tag != linux.ACL_USER && tag != linux.ACL_GROUP {
		id = linux.ACL_UNDEFINED_ID
	}
	return vfs.ACLEntry{Tag: tag, Perm: perm, ID: id}
}

// rights is a list with one named user, 1001, who may do user, and a mask.
func rights(owner, user, group, mask, other vfs.Access) vfs.ACL {
	return vfs.ACL{
		entry(linux.ACL_USER_OBJ, 0, owner), entry(linux.ACL_USER, 1001, user), entry(linux.ACL_GROUP_OBJ, 0, group),
		entry(linux.ACL_MASK, 0, mask), entry(linux.ACL_OTHER, 0, other),
	}
}

func (e *env) setACL(name string, kind vfs.ACLKind, acl vfs.ACL) {
	e.Helper()
	p := e.resolve(name, vfs.NoFollow)
	defer p.Drop()
	e.want("set the list of "+name, vfs.SetXattr(e.c, p, kind.Name(), acl.Encode(), 0), nil)
}

// acl compares a file's list; nil is none.
func (e *env) acl(name string, kind vfs.ACLKind, want vfs.ACL) {
	e.Helper()
	p := e.resolve(name, vfs.NoFollow)
	defer p.Drop()
	b, err := vfs.GetXattr(e.c, p, kind.Name())
	if want == nil {
		e.want("list of "+name, err, linux.ENODATA)
	} else {
		e.want("list of "+name, err, nil)
	}
	got, err := vfs.DecodeACL(b)
	e.want("decode", err, nil)
	e.equal("list of "+name, fmt.Sprint(got), fmt.Sprint(want))
	names, err := vfs.ListXattr(e.c, p)
	e.want("list", err, nil)
	e.equal("listed", slices.Contains(names, kind.Name()), want != nil)
}

func (e *env) mode(name string, want linux.FileMode) {
	e.Helper()
	e.equal("mode of "+name, fmt.Sprintf("%o", e.attr(name).Mode.Perm()), fmt.Sprintf("%o", want))
}

func aclAccess(e *env) {
	e.mkdir("/d")
	e.write("/d/f", "x")
	e.chown("/d/f", 1000, 100)
	e.chmod("/d/f", 0o640)
	try := func(c *Caller, f linux.OpenFlags) error {
		d, err := vfs.Open(c, at("/d/f"), vfs.OpenSpec{Flags: f})
		if err == nil {
			d.Release(c)
		}
		return err
	}
	named, group, other := e.c.As(1001, 1), e.c.As(2000, 1, 100), e.c.As(3000, 1)
	e.want("before", try(named, linux.O_RDONLY), linux.EACCES)
	e.setACL("/d/f", vfs.AccessACL, rights(6, 7, 6, 5, 0))
	e.mode("/d/f", 0o650)
	e.want("named", try(named, linux.O_RDONLY), nil)
	e.want("masked", try(named, linux.O_WRONLY), linux.EACCES)
	e.want("group", try(group, linux.O_RDONLY), nil)
	e.want("group, masked", try(group, linux.O_RDWR), linux.EACCES)
	e.want("other", try(other, linux.O_RDONLY), linux.EACCES)
	e.want("root", try(e.c, linux.O_RDWR), nil)
	e.chmod("/d/f", 0o660)
	e.want("unmasked", try(named, linux.O_RDWR), nil)
	e.setACL("/d/f", vfs.AccessACL, rights(6, 0, 6, 6, 6))
	e.want("named has nothing", try(named, linux.O_RDONLY), linux.EACCES)
	e.want("other", try(other, linux.O_RDWR), nil)
	e.setACL("/d", vfs.AccessACL, rights(7, 3, 0, 7, 0))
	e.want("search", try(other, linux.O_RDONLY), linux.EACCES)
	e.want("mkdir", vfs.Mkdir(named, at("/d/x"), 0o755), nil)
	e.want("rmdir", vfs.Rmdir(named, at("/d/x")), nil)
	e.want("rename", vfs.Rename(named, at("/d/f"), at("/d/g"), 0), nil)
	e.want("unlink", vfs.Unlink(other, at("/d/g")), linux.EACCES)
	e.want("unlink", vfs.Unlink(named, at("/d/g")), nil)
}

func aclMode(e *env) {
	e.write("/f", "x")
	e.chmod("/f", 0o640)
	p := e.resolve("/f", 0)
	defer p.Drop()
	access, def := vfs.AccessACL.Name(), vfs.DefaultACL.Name()
	e.want("other", vfs.SetXattr(e.c.As(1001, 1), p, access, rights(7, 7, 7, 7, 7).Encode(), 0), linux.EPERM)
	e.want("default", vfs.SetXattr(e.c, p, def, rights(7, 7, 7, 7, 7).Encode(), 0), linux.EACCES)
	e.want("bad", vfs.SetXattr(e.c, p, access, rights(7, 7, 7, 7, 7)[1:].Encode(), 0), linux.EINVAL)
	e.acl("/f", vfs.AccessACL, nil)
	e.setACL("/f", vfs.AccessACL, vfs.ModeACL(0o751))
	e.acl("/f", vfs.AccessACL, nil)
	e.mode("/f", 0o751)
	e.setACL("/f", vfs.AccessACL, rights(6, 4, 5, 6, 0))
	e.acl("/f", vfs.AccessACL, rights(6, 4, 5, 6, 0))
	e.mode("/f", 0o660)
	e.chmod("/f", 0o4711)
	e.acl("/f", vfs.AccessACL, rights(7, 4, 5, 1, 1))
	e.mode("/f", 0o4711)
	e.want("remove", vfs.RemoveXattr(e.c, p, access), nil)
	e.acl("/f", vfs.AccessACL, nil)
	e.mode("/f", 0o4711)
	e.want("remove again", vfs.RemoveXattr(e.c, p, access), nil)
	e.chown("/f", 1001, 100)
	e.chmod("/f", 0o2771)
	mine := e.c.As(1001, 1)
	e.want("by the owner, of another group", vfs.SetXattr(mine, p, access, rights(6, 4, 5, 7, 0).Encode(), 0), nil)
	e.mode("/f", 0o670)
	e.want("symlink", vfs.MakeSymlink(e.c, "f", at("/l")), nil)
	l := e.resolve("/l", vfs.NoFollow)
	defer l.Drop()
	e.want("of a link", vfs.SetXattr(e.c, l, access, rights(7, 7, 7, 7, 7).Encode(), 0), linux.EOPNOTSUPP)
}

func aclDefault(e *env) {
	e.c.Place.SetUmask(0o077)
	e.mkdir("/d")
	def := rights(7, 6, 5, 7, 5)
	e.setACL("/d", vfs.DefaultACL, def)
	e.mode("/d", 0o700)
	e.open("/d/f", linux.O_CREAT|linux.O_EXCL|linux.O_RDWR, 0o666).Release(e.c)
	e.mode("/d/f", 0o664)
	e.acl("/d/f", vfs.AccessACL, rights(6, 6, 5, 6, 4))
	e.want("mkdir", vfs.Mkdir(e.c, at("/d/d"), 0o750), nil)
	e.mode("/d/d", 0o750)
	e.acl("/d/d", vfs.AccessACL, rights(7, 6, 5, 5, 0))
	e.acl("/d/d", vfs.DefaultACL, def)
	e.open("/d/d/f", linux.O_CREAT|linux.O_EXCL|linux.O_RDWR, 0o600).Release(e.c)
	e.acl("/d/d/f", vfs.AccessACL, rights(6, 6, 5, 0, 0))
	p, err := vfs.Mknod(e.c, at("/d/p"), linux.S_IFIFO|0o666, 0)
	e.want("mknod", err, nil)
	p.Drop()
	e.acl("/d/p", vfs.AccessACL, rights(6, 6, 5, 6, 4))
	e.want("symlink", vfs.MakeSymlink(e.c, "f", at("/d/l")), nil)
	e.mode("/d/l", 0o777)
	e.setACL("/d", vfs.DefaultACL, vfs.ModeACL(0o764))
	e.open("/d/three", linux.O_CREAT|linux.O_EXCL|linux.O_RDWR, 0o666).Release(e.c)
	e.mode("/d/three", 0o664)
	e.acl("/d/three", vfs.AccessACL, nil)
	d := e.resolve("/d", 0)
	defer d.Drop()
	e.want("remove", vfs.RemoveXattr(e.c, d, vfs.DefaultACL.Name()), nil)
	e.open("/d/plain", linux.O_CREAT|linux.O_EXCL|linux.O_RDWR, 0o666).Release(e.c)
	e.mode("/d/plain", 0o600)
}

// aclRow makes many files one after the other, which a filesystem may put off.
func aclRow(e *env) {
	e.mkdir("/d")
	e.setACL("/d", vfs.DefaultACL, rights(7, 6, 5, 7, 5))
	for i := range 20 {
		e.mkdir(fmt.Sprintf("/d/%d", i))
		e.write(fmt.Sprintf("/d/%d/f", i), "text")
		e.chmod(fmt.Sprintf("/d/%d/f", i), 0o640)
	}
	for i := range 20 {
		e.acl(fmt.Sprintf("/d/%d", i), vfs.DefaultACL, rights(7, 6, 5, 7, 5))
		e.acl(fmt.Sprintf("/d/%d", i), vfs.AccessACL, rights(7, 6, 5, 5, 5))
		e.acl(fmt.Sprintf("/d/%d/f", i), vfs.AccessACL, rights(6, 6, 5, 4, 0))
		e.equal("text", e.read(fmt.Sprintf("/d/%d/f", i)), "text")
	}
}
