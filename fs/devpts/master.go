package devpts

import (
	"strconv"
	"sync/atomic"

	"garrison/fs/tty"
	"garrison/sentry/kernel"
	"garrison/sentry/linux"
	"garrison/sentry/usermem"
	"garrison/sentry/vfs"
	"garrison/sentry/wait"
)

// chunk is how much one step of a write moves.
const chunk = 4096

// A master is the open far side of a pseudoterminal.
type master struct {
	fs   *FS
	n    int
	path vfs.Path // of ptmx, held
	t    *tty.Terminal
	far  wait.Object

	exclusive atomic.Bool // TIOCEXCL, which has no effect: ptmx opens a new one
}

var (
	_ vfs.Streamer = (*master)(nil)
	_ vfs.Control  = (*master)(nil)
	_ wait.Object  = (*master)(nil)
)

// OpenMaster makes a pseudoterminal and opens its master: open(2) of ptmx. Its
// slave is locked until unlockpt(3). p is where ptmx was found.
func (fs *FS) OpenMaster(c vfs.Ctx, p vfs.Path, _ linux.OpenFlags) (vfs.File, error) {
	m := &master{fs: fs, path: p}
	n, err := fs.Add(c, func(device uint64, name string) *tty.Terminal {
		m.t = tty.New(fs.k, device, name)
		m.t.SetLock(true)
		return m.t
	})
	if err != nil {
		return nil, err
	}
	m.n, m.far = n, m.t.Far()
	m.t.OnRelease(func() { fs.release(n) })
	if !p.IsZero() {
		p.Hold()
	}
	return m, nil
}

// Stream implements vfs.Streamer.
func (*master) Stream() {}

// Async implements vfs.Asyncer.
func (*master) Async() {}

// Close implements vfs.File: the line is cut.
func (m *master) Close(vfs.Ctx) {
	m.fs.hide(m.n)
	m.t.Hangup(true)
	m.path.Drop()
}

// Watch, Unwatch and Ready implement wait.Object.
func (m *master) Watch(w *wait.Watch) { m.far.Watch(w) }

// Unwatch implements wait.Object.
func (m *master) Unwatch(w *wait.Watch) { m.far.Unwatch(w) }

// Ready implements wait.Object.
func (m *master) Ready(e wait.Events) wait.Events { return m.far.Ready(e) }

// Read implements vfs.File. In packet mode the first byte tells what it is.
func (m *master) Read(_ vfs.Ctx, dst usermem.Seq, _ int64) (int64, error) {
	want := min(dst.Len(), tty.FarMax)
	if want == 0 {
		return 0, nil
	}
	buf := make([]byte, want)
	n := 0
	if m.t.Packet() {
		if s := m.t.Status(); s != 0 {
			buf[0] = s
			return copyOut(dst, buf[:1])
		}
		if m.t.Pending() > 0 {
			buf[0] = linux.TIOCPKT_DATA
			n = 1
		}
	}
	got := m.t.Drain(buf[n:])
	if got == 0 && n == 0 {
		if m.t.Abandoned() {
			return 0, linux.EIO
		}
		return 0, linux.EAGAIN
	}
	return copyOut(dst, buf[:n+got])
}

func copyOut(dst usermem.Seq, b []byte) (int64, error) {
	n, err := dst.CopyOut(b)
	return int64(n), err
}

// Write implements vfs.File.
func (m *master) Write(_ vfs.Ctx, src usermem.Seq, _ int64) (int64, error) {
	buf := make([]byte, min(src.Len(), chunk))
	total := int64(0)
	for left := src.Len(); left > 0; left = src.Len() - total {
		if m.far.Ready(wait.Out)&wait.Out == 0 {
			break
		}
		p := buf[:min(left, chunk)]
		if _, err := src.Skip(total).CopyIn(p); err != nil {
			if total > 0 {
				break
			}
			return 0, err
		}
		n := m.t.Feed(p)
		if total += int64(n); n < len(p) {
			break
		}
	}
	if total == 0 && src.Len() > 0 {
		return 0, linux.EAGAIN
	}
	return total, nil
}

// Ioctl implements vfs.Control: ioctl_tty(2).
func (m *master) Ioctl(c vfs.Ctx, mem usermem.Memory, cmd uint32, arg uint64) (uint64, error) {
	get := func(v int) error { n := int32(v); return usermem.Ptr[int32](arg).Store(mem, &n) }
	switch cmd {
	case linux.TIOCGPTN:
		return 0, get(m.n)
	case linux.TIOCSPTLCK, linux.TIOCPKT:
		v, err := usermem.Ptr[int32](arg).Load(mem)
		if err != nil {
			return 0, err
		}
		if cmd == linux.TIOCPKT {
			m.t.SetPacket(v != 0)
		} else {
			m.t.SetLock(v != 0)
		}
		return 0, nil
	case linux.TIOCGPTLCK:
		return 0, get(flag(m.t.Locked()))
	case linux.TIOCGPKT:
		return 0, get(flag(m.t.Packet()))
	case linux.TIOCINQ:
		return 0, get(min(m.t.Pending(), tty.FarMax))
	case linux.TIOCOUTQ:
		return 0, get(0)
	case linux.TIOCSIG:
		switch s := linux.Signal(arg); s {
		case linux.SIGINT, linux.SIGQUIT, linux.SIGTSTP:
			m.t.Raise(s)
			return 0, nil
		}
		return 0, linux.EINVAL
	case linux.TIOCGPTPEER:
		return m.peer(c, linux.OpenFlags(arg))
	case linux.TIOCEXCL, linux.TIOCNXCL:
		m.exclusive.Store(cmd == linux.TIOCEXCL)
		return 0, nil
	case linux.TIOCGEXCL:
		return 0, get(flag(m.exclusive.Load()))
	case linux.TIOCCONS:
		return 0, linux.EINVAL
	case linux.TCSBRK, linux.TCSBRKP, linux.TIOCSBRK, linux.TIOCCBRK:
		return 0, nil
	case linux.TIOCNOTTY:
		return 0, linux.ENOTTY
	}
	return m.t.Ioctl(c, mem, cmd, arg, true)
}

// peer is TIOCGPTPEER: the slave, opened in the mount that ptmx was found in,
// whatever the caller can see of that.
func (m *master) peer(c vfs.Ctx, flags linux.OpenFlags) (uint64, error) {
	t, ok := kernel.Caller(c)
	if !ok {
		return 0, linux.ENOTTY
	}
	dir := m.path.Parent()
	defer dir.Drop()
	name := strconv.Itoa(m.n)
	if _, ok := Of(dir.Inode()); !ok {
		name = "pts/" + name // ptmx is /dev/ptmx
	}
	p, err := vfs.Resolve(c, vfs.At{Start: dir, Name: name})
	if err != nil {
		return 0, linux.EIO
	}
	defer p.Drop()
	d, err := vfs.OpenPath(c, p, flags&^linux.O_CLOEXEC)
	if err != nil {
		return 0, err
	}
	defer d.Release(c)
	fd, err := t.FDs().Install(c, d, 0, flags&linux.O_CLOEXEC != 0)
	return uint64(fd), err
}

func flag(on bool) int {
	if on {
		return 1
	}
	return 0
}

// Multiplexer is the device 5:2, /dev/ptmx: it makes pseudoterminals of the
// devpts at "pts" beside it, or if the node alone is mounted somewhere of the one
// at /dev/pts. ENOENT, or ENODEV if that is no devpts.
type Multiplexer struct{}

// Open implements vfs.Device.
func (Multiplexer) Open(c vfs.Ctx, p vfs.Path, flags linux.OpenFlags) (vfs.File, error) {
	dir := p.Parent()
	defer dir.Drop()
	at := vfs.At{Start: dir, Name: "pts"}
	if dir.SameFile(p) {
		at = vfs.At{Name: "/dev/pts"}
	}
	d, err := vfs.Resolve(c, at)
	if err != nil {
		return nil, err
	}
	defer d.Drop()
	fs, ok := Of(d.Inode())
	if !ok {
		return nil, linux.ENODEV
	}
	return fs.OpenMaster(c, p, flags)
}
