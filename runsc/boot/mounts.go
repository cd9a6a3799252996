package boot

import (
	"errors"
	"fmt"
	"path"
	"strings"

	"garrison/fs/cgroupfs"
	"garrison/fs/dev"
	"garrison/fs/erofs"
	"garrison/fs/goferfs"
	"garrison/fs/proc"
	"garrison/fs/sys"
	"garrison/runsc/control"
	"garrison/sentry/auth"
	"garrison/sentry/linux"
	"garrison/sentry/memfile"
	"garrison/sentry/socket"
	"garrison/sentry/usermem"
	"garrison/sentry/vfs"
)

// mountRoot makes a tree of mounts that is the container's root and nothing else.
// It is writable, as mount points may have to be made in it.
func (ct *container) mountRoot(given *descriptors) (*vfs.MountNamespace, error) {
	all := ct.doc.Mounts
	if len(all) == 0 || all[0].Destination != "/" {
		return nil, errors.New("boot document: no root")
	}
	fs, err := ct.rootFilesystem(ct.system.Internal(), &all[0], given)
	if err != nil {
		return nil, fmt.Errorf("mount /: %w", err)
	}
	defer fs.DecRef()
	return ct.system.NewMountNamespace(fs, all[0].Source, linux.MountFlags(all[0].Flags)&^linux.MS_RDONLY), nil
}

// mountRest completes the container's tree.
func (ct *container) mountRest() error {
	c, done := ct.rootContext(ct.guest.Mounts)
	defer done()
	for i := range ct.doc.Mounts[1:] {
		m := &ct.doc.Mounts[1+i]
		if err := ct.mount(c, m); err != nil {
			return fmt.Errorf("mount %s: %w", m.Destination, err)
		}
	}
	if err := ct.populateDev(c); err != nil {
		return err
	}
	if err := ct.setParameters(c); err != nil {
		return err
	}
	if err := ct.hidePaths(c); err != nil {
		return err
	}
	flags := linux.MountFlags(ct.doc.Mounts[0].Flags)
	if flags&linux.MS_RDONLY == 0 {
		return nil
	}
	root := ct.guest.Mounts.Root()
	defer root.Drop()
	if err := vfs.Remount(c, root, flags|linux.MS_BIND|linux.MS_REMOUNT, nil); err != nil {
		return fmt.Errorf("mount / read-only: %w", err)
	}
	return nil
}

// mount mounts m where it belongs, and makes the mount point if there is none.
func (ct *container) mount(c vfs.Ctx, m *control.Mount) error {
	if ct.optional(m) {
		logf("mount %s: there is no filesystem of type %s: left out", m.Destination, m.Type)
		return nil
	}
	fs, err := ct.filesystem(c, m)
	if err != nil {
		return err
	}
	defer fs.DecRef()
	at, err := mountPoint(c, m.Destination, m.File)
	if err != nil {
		return fmt.Errorf("mount point: %w", err)
	}
	defer at.Drop()
	return vfs.MountFS(c, at, fs, m.Source, linux.MountFlags(m.Flags))
}

// optional are mounts that a container gets along without.
func (ct *container) optional(m *control.Mount) bool {
	switch m.Type {
	case "securityfs", "debugfs", "tracefs", "bpf":
		return ct.fsType(m.Type) == nil
	}
	return false
}

// procFilesystem is a proc of the container's processes: what mounts it is the
// kernel, which has none of its own.
func (ct *container) procFilesystem(c vfs.Ctx, m *control.Mount) (*vfs.Filesystem, error) {
	t := ct.system.Type("proc")
	root, err := proc.Root(c, ct.kernel, &ct.proc, ct.pids, &vfs.NewArgs{System: ct.system, Options: vfs.ParseOptions(m.Data)})
	if err != nil {
		return nil, err
	}
	return ct.system.NewFilesystemOf(t, root), nil
}

// rootFilesystem is filesystem for the root, which may be an image.
func (ct *container) rootFilesystem(c vfs.Ctx, m *control.Mount, given *descriptors) (*vfs.Filesystem, error) {
	if m.Type != "erofs" {
		return ct.filesystem(c, m)
	}
	fd, err := given.takeFD(m.Image)
	if err != nil {
		return nil, err
	}
	images := erofs.Config{Memory: func(vfs.Ctx) *memfile.File { return ct.pages }}
	root, err := erofs.New(c, images, fd)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", m.Source, err)
	}
	return ct.below(c, m, erofs.NewType(images), root)
}

// filesystem makes the filesystem that m describes.
func (ct *container) filesystem(c vfs.Ctx, m *control.Mount) (*vfs.Filesystem, error) {
	switch m.Type {
	case "gofer":
		lower, err := ct.goferRoot(c, m.Gofer)
		if err != nil {
			return nil, err
		}
		fs, err := ct.below(c, m, &goferfs.Type, lower)
		if err == nil && m.Bind {
			fs.PartOf(m.Source) // from which programs tell what container they are in
		}
		return fs, err
	case "proc":
		return ct.procFilesystem(c, m)
	case "sysfs":
		n, _ := ct.guest.NS.Net.Network.(*socket.Network)
		return ct.system.NewFilesystemOf(ct.system.Type("sysfs"), sys.Root(c, ct.kernel, n)), nil
	case "cgroup", "cgroup2":
		// There is one hierarchy, the unified one, whatever the host has.
		return ct.system.NewFilesystemOf(ct.system.Type("cgroup2"), cgroupfs.Root(c, ct.kernel, ct.guest, ct.shownLimits)), nil
	}
	t := ct.fsType(m.Type)
	if t == nil {
		return nil, fmt.Errorf("there is no filesystem of type %q", m.Type)
	}
	if path.Clean(m.Destination) != "/dev" {
		// As the container's root mounts it. On what belongs to a user namespace
		// there are no devices.
		c = &vfs.Internal{Who: auth.Root(ct.userNS), Place: c.FS()}
	}
	fs, err := ct.system.NewFilesystem(c, t, &vfs.NewArgs{
		Source: m.Source, Options: vfs.ParseOptions(m.Data), Flags: linux.MountFlags(m.Flags),
	})
	if errors.Is(err, linux.EINVAL) {
		return nil, fmt.Errorf("%s options %q: %w", m.Type, m.Data, err)
	}
	return fs, err
}

// mountPoint finds the mount point at name, or makes it with the directories
// that lead there.
func mountPoint(c vfs.Ctx, name string, file bool) (vfs.Path, error) {
	p, err := vfs.Resolve(c, vfs.At{Name: name})
	if err == nil || !errors.Is(err, linux.ENOENT) {
		return p, err
	}
	name = path.Clean("/" + name)
	dir, made := "", error(nil)
	parts := strings.Split(name[1:], "/")
	for i, part := range parts {
		dir += "/" + part
		if file && i == len(parts)-1 {
			p, err := vfs.Mknod(c, vfs.At{Name: dir}, linux.S_IFREG|0o755, 0)
			if err == nil {
				p.Drop()
			} else if !errors.Is(err, linux.EEXIST) {
				return vfs.Path{}, err
			}
			break
		}
		if made = vfs.Mkdir(c, vfs.At{Name: dir}, 0o755); made != nil && !errors.Is(made, linux.EEXIST) {
			// A symlink that leads nowhere is an error when the whole name is resolved.
			break
		}
	}
	p, err = vfs.Resolve(c, vfs.At{Name: name})
	if errors.Is(err, linux.ENOENT) && made != nil {
		err = made
	}
	return p, err
}

// populateDev fills /dev, unless it is a directory of the host's.
func (ct *container) populateDev(c vfs.Ctx) error {
	for _, m := range ct.doc.Mounts {
		if path.Clean(m.Destination) == "/dev" && m.Type == "gofer" {
			return nil
		}
	}
	dir, err := vfs.Resolve(c, vfs.At{Name: "/dev", Flags: vfs.Directory})
	if errors.Is(err, linux.ENOENT) || errors.Is(err, linux.ENOTDIR) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("/dev: %w", err)
	}
	defer dir.Drop()
	nodes := dev.Standard()
	if ct.doc.Spec.Process.Terminal {
		console := dev.Console()
		console.UID, _ = ct.userNS.MakeUID(ct.doc.Spec.Process.User.UID)
		nodes = append(nodes, console)
	}
	if err := dev.Populate(c, dir, nodes); err != nil {
		// A root without a /dev of its own may refuse (a read-only overlay, a
		// host directory on which devices can't be made): programs then find
		// what the image has.
		if !ct.hasOwnDev() {
			logf("%v", err)
			return nil
		}
		return err
	}
	return ct.makeDevices(c)
}

func (ct *container) hasOwnDev() bool {
	for _, m := range ct.doc.Mounts[1:] {
		if path.Clean(m.Destination) == "/dev" {
			return true
		}
	}
	return false
}

// makeDevices makes the nodes that the configuration lists. That they have a
// name does not mean that there is such a device.
func (ct *container) makeDevices(c vfs.Ctx) error {
	for _, d := range ct.doc.Spec.Linux.Devices {
		kinds := map[string]linux.FileMode{"c": linux.S_IFCHR, "u": linux.S_IFCHR, "b": linux.S_IFBLK, "p": linux.S_IFIFO}
		kind, ok := kinds[d.Type]
		if !ok {
			return fmt.Errorf("device %s: type %q must be c, b, u or p", d.Path, d.Type)
		}
		mode := linux.FileMode(0o666)
		if d.FileMode != nil {
			mode = linux.FileMode(d.FileMode.Perm())
		}
		if dir, err := mountPoint(c, path.Dir(d.Path), false); err == nil {
			dir.Drop()
		}
		p, err := vfs.Mknod(c, vfs.At{Name: d.Path}, kind|mode, linux.Makedev(uint32(d.Major), uint32(d.Minor)))
		if errors.Is(err, linux.EEXIST) {
			continue
		}
		if err != nil {
			return fmt.Errorf("device %s: %w", d.Path, err)
		}
		if d.UID != nil || d.GID != nil {
			uid, gid := ^uint32(0), ^uint32(0)
			if d.UID != nil {
				uid, _ = ct.userNS.MakeUID(*d.UID)
			}
			if d.GID != nil {
				gid, _ = ct.userNS.MakeGID(*d.GID)
			}
			err = vfs.Chown(c, p, uid, gid)
		}
		p.Drop()
		if err != nil {
			return fmt.Errorf("device %s: %w", d.Path, err)
		}
	}
	return nil
}

// setParameters sets what linux.sysctl asks for.
func (ct *container) setParameters(c vfs.Ctx) error {
	for name, value := range ct.doc.Spec.Linux.Sysctl {
		slashed := strings.ReplaceAll(name, ".", "/")
		if slashed == "kernel/domainname" { // the writer's own, and the kernel has none
			ct.guest.NS.UTS.SetDomain(value)
			continue
		}
		if param, ok := strings.CutPrefix(slashed, "net/"); ok {
			if err := ct.setNetParameter(param, value); err != nil {
				return fmt.Errorf("sysctl %s=%s: %w", name, value, err)
			}
			continue
		}
		path := "/proc/sys/" + slashed
		f, err := vfs.Open(c, vfs.At{Name: path}, vfs.OpenSpec{Flags: linux.O_WRONLY})
		if err == nil {
			_, err = f.Write(c, usermem.FromBytes([]byte(value)))
			f.Release(c)
		}
		if err != nil {
			return fmt.Errorf("sysctl %s=%s: %w", name, value, err)
		}
	}
	return nil
}

// setNetParameter sets a parameter of the container's network, by its name below net.
func (ct *container) setNetParameter(name, value string) error {
	n, ok := ct.guest.NS.Net.Network.(*socket.Network)
	if !ok {
		return errors.New("there is no network")
	}
	err := n.SetSysctl(name, value)
	if errors.Is(err, linux.EACCES) {
		text, _ := n.Sysctl(name)
		return fmt.Errorf("it is %q here and can't be changed: %w", text, err)
	}
	return err
}

// hidePaths does what linux.maskedPaths and linux.readonlyPaths ask for. Names
// that do not exist need neither.
func (ct *container) hidePaths(c vfs.Ctx) error {
	for _, name := range ct.doc.Spec.Linux.MaskedPaths {
		if err := ct.mask(c, name); err != nil && !errors.Is(err, linux.ENOENT) {
			return fmt.Errorf("mask %s: %w", name, err)
		}
	}
	for _, name := range ct.doc.Spec.Linux.ReadonlyPaths {
		if err := makeReadOnly(c, name); err != nil && !errors.Is(err, linux.ENOENT) {
			return fmt.Errorf("make %s read-only: %w", name, err)
		}
	}
	return nil
}

// mask puts an empty directory, or /dev/null, in the place of name.
func (ct *container) mask(c vfs.Ctx, name string) error {
	at, err := vfs.Resolve(c, vfs.At{Name: name})
	if err != nil {
		return err
	}
	defer at.Drop()
	if at.IsDir() {
		fs, err := ct.system.NewFilesystem(c, ct.types["tmpfs"], &vfs.NewArgs{Source: "tmpfs", Options: vfs.ParseOptions("size=0k,mode=755")})
		if err != nil {
			return err
		}
		defer fs.DecRef()
		return vfs.MountFS(c, at, fs, "tmpfs", linux.MS_RDONLY)
	}
	null, err := vfs.Resolve(c, vfs.At{Name: "/dev/null"})
	if err != nil {
		return err
	}
	defer null.Drop()
	return vfs.Bind(c, null, at, false)
}

func makeReadOnly(c vfs.Ctx, name string) error {
	at, err := vfs.Resolve(c, vfs.At{Name: name})
	if err != nil {
		return err
	}
	defer at.Drop()
	flags := at.Mount().Flags()
	if err := vfs.Bind(c, at, at, true); err != nil {
		return err
	}
	// The name now leads to the new mount.
	top, err := vfs.Resolve(c, vfs.At{Name: name})
	if err != nil {
		return err
	}
	defer top.Drop()
	return vfs.Remount(c, top, flags|linux.MS_BIND|linux.MS_REMOUNT|linux.MS_RDONLY, nil)
}
