package sandbox

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"garrison/platform/script"
	"garrison/runsc/container"
	"garrison/runsc/control"
)

// A program is a Go program to start behind walls: in namespaces of its own,
// with an empty root and with few capabilities or none. Go has threads before
// main, so what Linux leaves to single-threaded processes is done by a launcher
// script, which executes the program as its last step.
type program struct {
	name       string // of the binary, beside runsc's own
	args       []string
	env        []string
	namespaces uintptr // CLONE_NEW*
	uid        uint32  // host user and group to be in a user namespace, or 0 for root
	caps       uint64  // capabilities kept
	// descriptors: the program is for host files. They are created with the mode
	// that is asked for, and DescriptorsFD is its own /proc/self/fd.
	descriptors bool
	log         *os.File
	gate        *os.File // if not nil, the program waits until it can be read
}

// A child is a started program.
type child struct {
	container.Process
	name   string
	proc   *os.Process
	conn   *control.Conn // to its BootFD
	script *script.Script
	report *os.File
}

// Descriptors above those that a program finds. The launcher closes them.
const (
	reportFD  = control.DescriptorsFD + 1 + iota // where a failing step is named
	procFD                                       // the host's /proc, until the program gives it up
	programFD                                    // the program's file
	gateFD
)

// start runs p. The child's connection is ready to be used; whether the
// launcher came through shows when it is.
func (p *program) start() (*child, error) {
	exe, err := p.open()
	if err != nil {
		return nil, err
	}
	defer exe.Close()
	proc, err := os.OpenFile("/proc", unix.O_PATH|unix.O_DIRECTORY, 0)
	if err != nil {
		return nil, err
	}
	defer proc.Close()
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer null.Close()
	conn, theirs, err := control.Pair()
	if err != nil {
		return nil, err
	}
	defer theirs.Close()
	report, reportEnd, err := os.Pipe()
	if err != nil {
		conn.Close()
		return nil, err
	}
	defer reportEnd.Close()
	c := &child{name: p.name, conn: conn, script: p.script(), report: report}
	log := p.log
	if log == nil {
		log = null
	}
	files := []*os.File{null, log, log, theirs, nil, reportEnd, proc, exe}
	if p.gate != nil {
		files = append(files, p.gate)
	}
	c.proc, err = startScript(c.script, p.name, files, p.attributes())
	if err != nil {
		c.close()
		if errors.Is(err, unix.EPERM) {
			return nil, fmt.Errorf("start %s: make namespaces: %w (it takes CAP_SYS_ADMIN)", p.name, unix.EPERM)
		}
		return nil, fmt.Errorf("start %s: %w", p.name, err)
	}
	c.Process, err = container.FindProcess(c.proc.Pid)
	if err != nil {
		_ = c.proc.Kill()
		err = c.failure(err)
		c.close()
		return nil, err
	}
	return c, nil
}

// The programs that runsc starts. They stand beside it.
const (
	SentryProgram = "runsc-sentry"
	GoferProgram  = "runsc-gofer"
)

// Program is the path of the program name in the directory of runsc's own.
func Program(name string) (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	if real, err := filepath.EvalSymlinks(self); err == nil {
		self = real
	}
	return filepath.Join(filepath.Dir(self), name), nil
}

// open opens p's binary.
func (p *program) open() (*os.File, error) {
	path, err := Program(p.name)
	if err != nil {
		return nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("%s must stand beside runsc (make build puts both in bin/): %w", p.name, err)
	}
	fi, err := f.Stat()
	if err == nil && p.uid != 0 && fi.Mode().Perm()&0o001 == 0 {
		err = fmt.Errorf("%s must be executable by everybody (chmod 755): the sentry runs as a user of its own", path)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// attributes are what the Go runtime can do between fork and exec.
func (p *program) attributes() *syscall.SysProcAttr {
	a := &syscall.SysProcAttr{Setsid: true, Cloneflags: p.namespaces}
	if p.uid != 0 {
		ids := []syscall.SysProcIDMap{{ContainerID: 0, HostID: int(p.uid), Size: 1}}
		a.Cloneflags |= unix.CLONE_NEWUSER
		a.UidMappings, a.GidMappings = ids, ids
		a.GidMappingsEnableSetgroups = true
		a.Credential = &syscall.Credential{} // ids 0 there, and no other groups
	}
	return a
}

// script is the launcher: it empties the root, drops rights and executes p.
func (p *program) script() *script.Script {
	s := new(script.Script)
	s.ReportTo(reportFD)
	closeFrom(s, gateFD+1)
	if p.gate != nil {
		b := s.Buffer(16)
		s.Call("wait", unix.SYS_READ, script.Int(gateFD), b.At(0), script.Int(1)).Retry(unix.EINTR)
		s.Call("close", unix.SYS_CLOSE, script.Int(gateFD))
	}
	if p.descriptors {
		s.Call("umask", unix.SYS_UMASK, script.Int(0))
		openDescriptors(s)
		s.Call("close", unix.SYS_CLOSE, script.Int(procFD))
		emptyRoot(s)
	} else {
		mountProc(s, procFD)
		emptyRoot(s)
		enterProc(s)
	}
	raiseLimits(s)
	shortenTurns(s)
	growTable(s)
	// The caller's session keyring is not the sandbox's.
	s.Call("new session keyring", unix.SYS_KEYCTL, script.Int(unix.KEYCTL_JOIN_SESSION_KEYRING), script.Int(0)).Keep()
	dropRights(s, p.caps)
	for _, fd := range []uintptr{reportFD, programFD} {
		s.Call("close on exec", unix.SYS_FCNTL, script.Int(fd), script.Int(unix.F_SETFD), script.Int(unix.FD_CLOEXEC))
	}
	// The programs turn the garbage collector on when they have started.
	env := append([]string{"GODEBUG=containermaxprocs=0,updatemaxprocs=0", "GOGC=off"}, p.env...)
	s.Call("execute "+p.name, unix.SYS_EXECVEAT, script.Int(programFD), s.String(""),
		s.Strings(append([]string{p.name}, p.args...)), s.Strings(env), script.Int(unix.AT_EMPTY_PATH))
	return s
}

// closeFrom closes the descriptors from first on: a caller of runsc may have
// left some open that are not close-on-exec.
func closeFrom(s *script.Script, first uintptr) {
	s.Call("close_range", unix.SYS_CLOSE_RANGE, script.Int(first), script.Int(math.MaxUint32), script.Int(0))
}

// openDescriptors opens the process's own /proc/self/fd as control.DescriptorsFD,
// in a mount of its own from which no ".." leads out. With it a descriptor that
// only names a file can be opened for reading or writing.
func openDescriptors(s *script.Script) {
	fd := s.Call("clone /proc/self/fd", unix.SYS_OPEN_TREE, script.Signed(unix.AT_FDCWD), s.String("/proc/self/fd"),
		script.Int(unix.OPEN_TREE_CLONE))
	there := s.NewLabel()
	s.IfEqual(fd.Result(), script.Int(control.DescriptorsFD), there) // the lowest that was free
	s.Call("dup", unix.SYS_DUP2, fd.Result(), script.Int(control.DescriptorsFD))
	s.Call("close", unix.SYS_CLOSE, fd.Result())
	s.Place(there)
}

// mountProc makes the open descriptor to a proc(5) of the process's own PID namespace
// that is mounted nowhere. Where the host forbids it, as in a container whose own is
// masked, it stays what it is.
func mountProc(s *script.Script, to uintptr) {
	const create = 6 // FSCONFIG_CMD_CREATE
	zero, host := script.Int(0), s.NewLabel()
	fs := s.Call("fsopen proc", unix.SYS_FSOPEN, s.String("proc"), script.Int(unix.FSOPEN_CLOEXEC)).OnError(host)
	s.Call("create proc", unix.SYS_FSCONFIG, fs.Result(), script.Int(create), zero, zero, zero).OnError(host)
	const attributes = unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV
	m := s.Call("mount proc", unix.SYS_FSMOUNT, fs.Result(), zero, script.Int(attributes)).OnError(host)
	s.Call("dup", unix.SYS_DUP2, m.Result(), script.Int(to))
	s.Call("close", unix.SYS_CLOSE, m.Result())
	s.Place(host)
	s.Call("close", unix.SYS_CLOSE, fs.Result()).Ignore(unix.EBADF)
}

// enterProc makes procFD the working directory. The program leaves it when it
// has what it needs; no other way leads there.
func enterProc(s *script.Script) {
	s.Call("chdir to /proc", unix.SYS_FCHDIR, script.Int(procFD))
	s.Call("close", unix.SYS_CLOSE, script.Int(procFD))
}

// emptyRoot leaves the process in a mount namespace that holds one empty
// read-only directory.
func emptyRoot(s *script.Script) {
	zero := script.Int(0)
	here := s.String(".")
	s.Call("make mounts private", unix.SYS_MOUNT, zero, s.String("/"), zero, script.Int(unix.MS_REC|unix.MS_PRIVATE), zero)
	const flags = unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC
	// Any directory does; /proc is one that every host has.
	s.Call("mount empty root", unix.SYS_MOUNT, s.String("none"), s.String("/proc"), s.String("tmpfs"),
		script.Int(flags), s.String("size=4k,nr_inodes=2,mode=555"))
	s.Call("chdir to empty root", unix.SYS_CHDIR, s.String("/proc"))
	s.Call("pivot_root", unix.SYS_PIVOT_ROOT, here, here)
	s.Call("detach host root", unix.SYS_UMOUNT2, here, script.Int(unix.MNT_DETACH))
	s.Call("make root read-only", unix.SYS_MOUNT, zero, s.String("/"), zero, script.Int(flags|unix.MS_REMOUNT|unix.MS_RDONLY), zero)
}

// dropRights gives up every capability but caps, for good.
func dropRights(s *script.Script, caps uint64) {
	const lastCapability = 63 // of any kernel to come; EINVAL ends nothing
	for n := uintptr(0); n <= lastCapability; n++ {
		if caps&(1<<n) == 0 {
			s.Call("drop capability", unix.SYS_PRCTL, script.Int(unix.PR_CAPBSET_DROP), script.Int(n)).Ignore(unix.EINVAL)
		}
	}
	zero := script.Int(0)
	s.Call("clear ambient capabilities", unix.SYS_PRCTL, script.Int(unix.PR_CAP_AMBIENT),
		script.Int(unix.PR_CAP_AMBIENT_CLEAR_ALL), zero, zero, zero)
	if caps == 0 {
		s.Call("lock securebits", unix.SYS_PRCTL, script.Int(unix.PR_SET_SECUREBITS), script.Int(lockedSecurebits))
	}
	s.Call("set no_new_privs", unix.SYS_PRCTL, script.Int(unix.PR_SET_NO_NEW_PRIVS), script.Int(1), zero, zero, zero)
	const version3 = 0x20080522 // capset(2): _LINUX_CAPABILITY_VERSION_3
	lo, hi := uint32(caps), uint32(caps>>32)
	header, data := words(version3, 0), words(lo, lo, 0, hi, hi, 0)
	s.Call("capset", unix.SYS_CAPSET, s.Bytes(header), s.Bytes(data))
}

// lockedSecurebits makes root's user id mean nothing (capabilities(7)):
// SECBIT_NOROOT, SECBIT_NO_SETUID_FIXUP, SECBIT_NO_CAP_AMBIENT_RAISE, each with
// its lock, and SECBIT_KEEP_CAPS_LOCKED.
const lockedSecurebits = 0x3 | 0xc | 0x20 | 0xc0

func words(w ...uint32) []byte {
	var b []byte
	for _, v := range w {
		b = append(b, byte(v), byte(v>>8), byte(v>>16), byte(v>>24))
	}
	return b
}

// fileLimit is the number of descriptors a sentry or gofer may need: the OCI
// limits are the guest's own.
const fileLimit = 1 << 20

// raiseLimits lifts the limits that the caller happened to have, as far as the
// host lets it, and forbids core dumps, which would hold guest memory.
func raiseLimits(s *script.Script) {
	set := func(resource int, l unix.Rlimit) {
		b := append(words(uint32(l.Cur), uint32(l.Cur>>32)), words(uint32(l.Max), uint32(l.Max>>32))...)
		s.Call("set limit "+strconv.Itoa(resource), unix.SYS_SETRLIMIT, script.Int(uintptr(resource)), s.Bytes(b)).Keep()
	}
	set(unix.RLIMIT_CORE, unix.Rlimit{})
	for _, resource := range []int{unix.RLIMIT_NOFILE, unix.RLIMIT_FSIZE, unix.RLIMIT_AS, unix.RLIMIT_DATA, unix.RLIMIT_MEMLOCK, unix.RLIMIT_NPROC} {
		var l unix.Rlimit
		if unix.Getrlimit(resource, &l) == nil {
			l.Cur = l.Max
			set(resource, l)
		}
	}
}

// growTable makes room for descriptors while that is cheap: a table that grows
// once there are threads waits for every CPU's RCU, 8-12 ms each time it doubles.
// Where the limit is lower than that, EBADF says so, and there is nothing to grow.
func growTable(s *script.Script) {
	const room = 1024
	s.Call("grow descriptor table", unix.SYS_DUP2, script.Int(programFD), script.Int(room-1)).Ignore(unix.EBADF)
	s.Call("close", unix.SYS_CLOSE, script.Int(room-1)).Ignore(unix.EBADF)
}

// RaiseHardLimits lifts this process's own hard limits, which its children
// can't exceed. A host that forbids it is left as it is.
func RaiseHardLimits() {
	var l unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &l) == nil && l.Max < fileLimit {
		_ = unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: l.Cur, Max: fileLimit})
	}
	for _, resource := range []int{unix.RLIMIT_FSIZE, unix.RLIMIT_AS, unix.RLIMIT_DATA, unix.RLIMIT_NPROC} {
		if unix.Getrlimit(resource, &l) == nil && l.Max != unix.RLIM_INFINITY {
			_ = unix.Setrlimit(resource, &unix.Rlimit{Cur: l.Cur, Max: unix.RLIM_INFINITY})
		}
	}
}

// startScript executes s with files as its descriptors 0, 1, 2…
func startScript(s *script.Script, name string, files []*os.File, attr *syscall.SysProcAttr, args ...string) (*os.Process, error) {
	f, err := s.Memfd(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	// Between fork and exec the runtime moves files to 0, 1, 2…, some by way of
	// descriptors above them all: the program's own must be out of their way, but
	// no higher. A table that grows past 64 waits for every CPU's RCU, 8-12 ms.
	clear := len(files)
	for _, f := range files {
		if f != nil {
			clear = max(clear, int(f.Fd()))
		}
	}
	clear += len(files) + 2
	high, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, clear)
	if err != nil {
		return nil, fmt.Errorf("dup: %w", err)
	}
	defer unix.Close(high)
	return os.StartProcess("/proc/self/fd/"+strconv.Itoa(high), append([]string{name}, args...),
		&os.ProcAttr{Files: files, Env: []string{}, Sys: attr})
}

// failure waits for the end of a child that has broken off and says why it
// ended, in place of err, if it is known.
func (c *child) failure(err error) error {
	state, waitErr := c.proc.Wait()
	report := make([]byte, script.ReportSize)
	n, _ := c.report.Read(report)
	switch {
	case n > 0:
		return fmt.Errorf("start %s: %w", c.name, c.script.Error(report[:n]))
	case waitErr == nil && !state.Success():
		return fmt.Errorf("%s ended (%v)", c.name, state)
	case err == nil:
		return errors.New(c.name + " ended")
	}
	return fmt.Errorf("%s: %w", c.name, err)
}

// close gives up the child's descriptors; the process goes on.
func (c *child) close() {
	if c.conn != nil {
		c.conn.Close()
	}
	c.report.Close()
}

// kill ends the child and reaps it.
func (c *child) kill() {
	_ = c.proc.Kill()
	_, _ = c.proc.Wait()
	c.close()
}
