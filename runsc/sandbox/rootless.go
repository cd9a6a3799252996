package sandbox

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"garrison/platform/script"
	"garrison/runsc/container"
)

// BecomeRoot executes this program again with args, as root of a user namespace that
// has the caller's own id and those that /etc/subuid and /etc/subgid give to it
// (subuid(5)). It is the one of a container of the store, if any lives, as nobody
// else may signal that or reach its files; else a new one. BecomeRoot returns only
// if it fails.
func BecomeRoot(store container.Store, args []string) error {
	exe, err := os.Open("/proc/self/exe")
	if err != nil {
		return err
	}
	defer exe.Close()
	b := &becoming{}
	if c := anyAlive(store); c != nil {
		err = b.join(c)
	} else {
		err = b.begin()
	}
	if err != nil {
		return fmt.Errorf("--rootless: %w", err)
	}
	b.finish(b.pass(exe), args)
	f, err := b.Memfd("runsc")
	if err != nil {
		return err
	}
	defer f.Close()
	return fmt.Errorf("--rootless: %w", syscall.Exec("/proc/self/fd/"+strconv.Itoa(int(f.Fd())), []string{"runsc"}, nil))
}

// anyAlive is a container of the store whose gofer lives, which is in the user
// namespace of the runsc that started it; or nil.
func anyAlive(store container.Store) *container.Container {
	all, _ := store.List()
	for _, c := range all {
		if c.Gofer.Alive() {
			return c
		}
	}
	return nil
}

// A becoming is the script that this process becomes on its way: a Go program has
// threads, and can't enter a user namespace.
type becoming struct {
	script.Script
	words []told
}

// told is what is said when a step fails.
type told struct {
	at   script.Label
	text string
}

// must is a call that ends the process with a word if it fails.
func (b *becoming) must(what string, nr uintptr, args ...script.Arg) script.Step {
	l := b.NewLabel()
	b.words = append(b.words, told{l, "runsc: --rootless: " + what + " failed\n"})
	return b.Call(what, nr, args...).OnError(l)
}

// pass keeps f open across execve(2), and returns its number.
func (b *becoming) pass(f *os.File) int {
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD, 3) // not close-on-exec
	if err != nil {
		return -1 // its first use says so
	}
	return fd
}

// join enters the user namespace that c was created in.
func (b *becoming) join(c *container.Container) error {
	ns, err := os.Open(nsPath(c.Gofer.PID, "user"))
	if err != nil {
		return fmt.Errorf("the user namespace of container %s: %w", c.ID, err)
	}
	defer ns.Close()
	fd := script.Int(uintptr(b.pass(ns)))
	b.must("joining the user namespace of "+c.ID, unix.SYS_SETNS, fd, script.Int(unix.CLONE_NEWUSER))
	b.Call("close", unix.SYS_CLOSE, fd)
	b.must("making a mount namespace", unix.SYS_UNSHARE, script.Int(unix.CLONE_NEWNS))
	return nil
}

// begin makes a user namespace and waits until newuidmap(1) and newgidmap(1), which
// have the right to, have given it ids.
func (b *becoming) begin() error {
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer w.Close()
	defer r.Close()
	mappers := []struct {
		program, file, first, count string
		own                         int
	}{{program: "newuidmap", file: "/etc/subuid", own: os.Getuid()}, {program: "newgidmap", file: "/etc/subgid", own: os.Getgid()}}
	for i := range mappers {
		m := &mappers[i]
		if m.first, m.count, err = subordinate(m.file); err != nil {
			return err
		}
	}
	var helpers []int
	for _, m := range mappers {
		pid, err := startMapper(m.program, r, []string{strconv.Itoa(os.Getpid()), "0", strconv.Itoa(m.own), "1", "1", m.first, m.count})
		if err != nil {
			return err
		}
		helpers = append(helpers, pid)
	}
	go1 := script.Int(uintptr(b.pass(w)))
	b.must("making a user namespace", unix.SYS_UNSHARE, script.Int(unix.CLONE_NEWUSER|unix.CLONE_NEWNS))
	b.must("telling newuidmap", unix.SYS_WRITE, go1, b.String("go"), script.Int(uintptr(len(helpers))))
	b.Call("close", unix.SYS_CLOSE, go1)
	zero := script.Int(0)
	for _, pid := range helpers {
		b.must("waiting for newuidmap", unix.SYS_WAIT4, script.Int(uintptr(pid)), zero, zero, zero).Retry(unix.EINTR)
	}
	return nil
}

// startMapper starts a process that executes program, which gives ids to a user
// namespace, when a byte comes from gate.
func startMapper(program string, gate *os.File, args []string) (int, error) {
	path, err := exec.LookPath(program)
	if err != nil {
		return 0, fmt.Errorf("%w (apt-get install uidmap)", err)
	}
	s := new(script.Script)
	one := s.Buffer(16)
	read := s.Call("wait", unix.SYS_READ, script.Int(3), one.At(0), script.Int(1)).Retry(unix.EINTR)
	told := s.NewLabel()
	s.IfEqual(read.Result(), script.Int(1), told)
	s.Exit(script.Int(1)) // whoever would have told has given up
	s.Place(told)
	s.Call("close", unix.SYS_CLOSE, script.Int(3))
	s.Call("execute "+program, unix.SYS_EXECVE, s.String(path), s.Strings(append([]string{program}, args...)), s.Strings(nil))
	p, err := startScript(s, program, []*os.File{nil, os.Stderr, os.Stderr, gate}, nil)
	if err != nil {
		return 0, err
	}
	return p.Pid, p.Release()
}

// finish takes the namespace's root for the process's own ids, and executes the
// program exe with args.
func (b *becoming) finish(exe int, args []string) {
	zero := script.Int(0)
	b.must("becoming group 0 of the user namespace", unix.SYS_SETRESGID, zero, zero, zero)
	b.must("becoming root of the user namespace", unix.SYS_SETRESUID, zero, zero, zero)
	b.must("closing on exec", unix.SYS_FCNTL, script.Int(uintptr(exe)), script.Int(unix.F_SETFD), script.Int(unix.FD_CLOEXEC))
	b.must("executing runsc", unix.SYS_EXECVEAT, script.Int(uintptr(exe)), b.String(""), b.Strings(args), b.Strings(os.Environ()),
		script.Int(unix.AT_EMPTY_PATH))
	for _, t := range b.words {
		b.Place(t.at)
		b.Call("write", unix.SYS_WRITE, script.Int(2), b.String(t.text), script.Int(uintptr(len(t.text)))).Keep()
		b.Exit(script.Int(1))
	}
}

// subordinate is the first range of ids that file gives to the caller, by name or by
// number.
func subordinate(file string) (first, count string, err error) {
	names := []string{strconv.Itoa(os.Getuid())}
	if u, err := user.LookupId(names[0]); err == nil {
		names = append(names, u.Username)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return "", "", err
	}
	for line := range strings.Lines(string(data)) {
		f := strings.Split(strings.TrimSpace(line), ":")
		if len(f) == 3 && (f[0] == names[0] || f[0] == names[len(names)-1]) {
			return f[1], f[2], nil
		}
	}
	return "", "", errors.New(file + " gives no ids to this user (see usermod --add-subuids)")
}
