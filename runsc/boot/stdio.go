package boot

import (
	"fmt"
	"os"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"

	"garrison/fs/devpts"
	"garrison/fs/host"
	"garrison/fs/tty"
	"garrison/runsc/control"
	"garrison/sentry/linux"
	"garrison/sentry/vfs"
)

// stdio are the descriptors that a process from outside starts with.
type stdio struct {
	files   []*vfs.FileDescription // 0, 1, 2…
	console *tty.Console           // nil without a terminal
}

// release gives up the files; a process that has them keeps them.
func (o *stdio) release(c vfs.Ctx) {
	for _, f := range o.files {
		if f != nil {
			f.Release(c)
		}
	}
}

// openStdio makes files of what the outside gives a process that runs as uid.
func (ct *container) openStdio(c vfs.Ctx, in *control.Stdio, given *descriptors, uid, gid uint32) (o *stdio, err error) {
	o = &stdio{}
	defer func() {
		if err != nil {
			o.release(c)
		}
	}()
	if in.Terminal >= 0 {
		if err := ct.openConsole(c, o, in.Terminal, given); err != nil {
			return o, fmt.Errorf("terminal: %w", err)
		}
	}
	first := len(o.files)
	for n, i := range in.Files {
		if same := slices.Index(in.Files[:n], i); same >= 0 {
			f := o.files[first+same]
			f.IncRef()
			o.files = append(o.files, f)
			continue
		}
		fd, err := given.takeFD(i)
		if err != nil {
			return o, err
		}
		d, err := host.New(ct.poller, fd, uid, gid)
		if err != nil {
			unix.Close(fd)
			return o, err
		}
		f, err := d.Describe(c, ct.system)
		if err != nil {
			d.Drop()
			return o, err
		}
		o.files = append(o.files, f)
	}
	return o, nil
}

// openConsole makes a terminal of the slave that came as descriptor i, and three
// descriptors that are open on it.
func (ct *container) openConsole(c vfs.Ctx, o *stdio, i int, given *descriptors) error {
	fd, err := given.takeFD(i)
	if err != nil {
		return err
	}
	// The wire is this process's own open file: Go's poller may have it.
	if err := unix.SetNonblock(fd, true); err != nil {
		unix.Close(fd)
		return err
	}
	wire := os.NewFile(uintptr(fd), "console")
	make := func(device uint64, name string) *tty.Terminal {
		o.console = tty.NewConsole(ct.kernel, wire, device, name)
		return o.console.Terminal
	}
	name, err := ct.nameTerminal(c, make)
	if err != nil {
		wire.Close()
		return err
	}
	d, err := vfs.Open(c, vfs.At{Name: name}, vfs.OpenSpec{Flags: linux.O_RDWR | linux.O_NOCTTY})
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	for range 3 {
		d.IncRef()
		o.files = append(o.files, d)
	}
	d.Release(c)
	return nil
}

// nameTerminal makes a terminal that has a name in the container's /dev/pts, as
// programs expect of one. Without a devpts there it is /dev/console only.
func (ct *container) nameTerminal(c vfs.Ctx, make func(device uint64, name string) *tty.Terminal) (string, error) {
	const dir = "/dev/pts"
	if p, err := vfs.Resolve(c, vfs.At{Name: dir, Flags: vfs.Directory}); err == nil {
		defer p.Drop()
		if pts, ok := devpts.Of(p.Inode()); ok {
			n, err := pts.Add(c, make)
			return dir + "/" + strconv.Itoa(n), err
		}
	}
	ct.addConsole(make(linux.Makedev(linux.TTYAUX_MAJOR, 1), "console"))
	return "/dev/console", nil
}

// addConsole makes t what /dev/console is for those whom it controls.
func (ct *container) addConsole(t *tty.Terminal) {
	ct.mu.Lock()
	defer ct.mu.Unlock()
	ct.consoles[t] = struct{}{}
	if ct.firstConsole == nil {
		ct.firstConsole = t
	}
}

// removeConsoleLocked forgets t, whose process has ended.
func (ct *container) removeConsoleLocked(t *tty.Terminal) {
	delete(ct.consoles, t)
	if ct.firstConsole == t {
		ct.firstConsole = nil
	}
}
