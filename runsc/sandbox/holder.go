package sandbox

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"

	"garrison/platform/script"
	"garrison/runsc/container"
)

// A holder is the host process that stands for a process of the container: its
// pid is what callers see, signal and wait for (platform/script's Hold).
type holder struct {
	container.Process
	proc  *os.Process
	peer  *os.File // the sentry's end of the socket
	pidfd *os.File // for the sentry, to learn that somebody killed it

	script *script.Script
	report *os.File // where a failing step is named, and which ends when it holds
	born   bool     // it is a child of the process that was started
}

// Descriptors of a holder.
const (
	holderSocketFD   = 3
	holderReportFD   = 4
	holderProcFD     = 5 // the procfs of its own pid namespace, mounted nowhere; else not of proc(5)
	holderTerminalFD = 6 // if any
	holderEndFD      = 7 // none of the caller's from here on
)

// holderNamespaces are those that every holder has for itself: who enters a container by
// its pid (podman cp, nsenter(1)) must not find the host there.
const holderNamespaces = unix.CLONE_NEWNS | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS | unix.CLONE_NEWCGROUP

// holderComm is what ps(1) and top(1) call a holder.
const holderComm = "runsc-init"

// holderConfig says how a holder is to look from outside.
type holderConfig struct {
	id string // of its container
	// netPath is the network namespace to be in, "" for the caller's; freshNet asks
	// for one of its own.
	netPath  string
	freshNet bool
	freshPID bool // a pid namespace of its own
	// users are the ids of a user namespace of its own; none is the caller's.
	users, groups []syscall.SysProcIDMap
	// terminal becomes its controlling terminal, so that the terminal's SIGWINCH and
	// SIGHUP reach it, and through it the sentry. It may be nil.
	terminal *os.File
}

// startHolder starts a holder for a process of a container, and waits until it holds.
func startHolder(c *holderConfig) (*holder, error) {
	h, err := beginHolder(c)
	if err != nil {
		return nil, err
	}
	if err := h.settle(); err != nil {
		h.kill()
		return nil, err
	}
	return h, nil
}

// beginHolder starts a holder. Who it is settle finds out.
func beginHolder(c *holderConfig) (*holder, error) {
	h, err := newHolder(c)
	if errors.Is(err, unix.EPERM) && c.users != nil {
		// The caller has not got these ids to give away, as in a user namespace itself.
		// They are the sentry's to keep; outside they only show in who the holder is.
		plain := *c
		plain.users, plain.groups = nil, nil
		h, err = newHolder(&plain)
	}
	if err != nil {
		return nil, fmt.Errorf("start holder: %w", err)
	}
	return h, nil
}

func newHolder(c *holderConfig) (*holder, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	h := &holder{peer: os.NewFile(uintptr(fds[0]), "holder"), script: c.script(), born: c.freshPID}
	socket := os.NewFile(uintptr(fds[1]), "holder")
	defer socket.Close()
	var reportEnd *os.File
	if h.report, reportEnd, err = os.Pipe(); err != nil {
		h.close()
		return nil, err
	}
	defer reportEnd.Close()
	start := func() error { return h.launch(c, socket, reportEnd) }
	if c.netPath != "" {
		start = within(c.netPath, start)
	}
	if err := start(); err != nil {
		h.close()
		return nil, err
	}
	return h, nil
}

// launch executes the holder's script.
func (h *holder) launch(c *holderConfig, socket, report *os.File) error {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer null.Close()
	attr := &unix.SysProcAttr{Setsid: true, Cloneflags: holderNamespaces}
	if c.freshNet {
		attr.Cloneflags |= unix.CLONE_NEWNET
	}
	if c.users != nil {
		attr.Cloneflags |= unix.CLONE_NEWUSER
		attr.UidMappings, attr.GidMappings, attr.GidMappingsEnableSetgroups = c.users, c.groups, true
		attr.Credential = new(syscall.Credential) // its root
	}
	files := []*os.File{null, null, null, socket, report, null, null}
	if c.terminal != nil {
		files[holderTerminalFD] = c.terminal
	}
	h.proc, err = startScript(h.script, holderComm, files, attr, c.id)
	return err
}

// script is what a holder does until it holds.
func (c *holderConfig) script() *script.Script {
	s := new(script.Script)
	s.ReportTo(holderReportFD)
	closeFrom(s, holderEndFD)
	if c.freshPID {
		bearInPIDNamespace(s)
		mountProc(s, holderProcFD)
	}
	emptyRoot(s)
	if c.terminal != nil {
		s.Call("take terminal", unix.SYS_IOCTL, script.Int(holderTerminalFD), script.Int(unix.TIOCSCTTY), script.Int(0))
	}
	s.Call("close", unix.SYS_CLOSE, script.Int(holderTerminalFD))
	// The end of the report says that what could fail has been done.
	s.Call("close", unix.SYS_CLOSE, script.Int(holderReportFD))
	s.Hold(holderSocketFD, holderComm)
	return s
}

// bearInPIDNamespace has the rest of s done by a child in a pid namespace of its own,
// whose parent is that of the process that began s. The child is not the namespace's
// first process, as that can't die of a signal of its own: that is another child, which
// does nothing, and ends when the holder has. The one that began says on the holder's
// socket who the holder is, and ends.
func bearInPIDNamespace(s *script.Script) {
	zero, one := script.Int(0), script.Int(1)
	first, holder := s.NewLabel(), s.NewLabel()
	alive := s.Buffer(8) // a pipe, whose writing end only the holder keeps
	s.Call("pipe", unix.SYS_PIPE2, alive.At(0), zero)
	s.Call("make pid namespace", unix.SYS_UNSHARE, script.Int(unix.CLONE_NEWPID))
	s.IfEqual(s.Call("fork", unix.SYS_CLONE, script.Int(uintptr(unix.SIGCHLD))).Result(), zero, first)
	born := s.Call("fork", unix.SYS_CLONE, script.Int(unix.CLONE_PARENT|uintptr(unix.SIGCHLD)))
	s.IfEqual(born.Result(), zero, holder)
	s.Call("tell who the holder is", unix.SYS_WRITE, script.Int(holderSocketFD), born.Address(), script.Int(holderPIDSize))
	s.Exit(zero)

	s.Place(first)
	s.Call("keep reading end", unix.SYS_DUP2, alive.Load32(0), zero)
	closeFrom(s, 1)
	s.Call("prctl PR_SET_NAME", unix.SYS_PRCTL, script.Int(unix.PR_SET_NAME), s.String(holderComm))
	const ignore = 1 // SIG_IGN: who enters the namespace may leave orphans, which nobody asks for
	s.Call("ignore SIGCHLD", unix.SYS_RT_SIGACTION, script.Int(uintptr(unix.SIGCHLD)), s.Bytes(words(ignore, 0, 0, 0, 0, 0, 0, 0)), zero, script.Int(8))
	s.Call("wait for the holder's end", unix.SYS_READ, zero, s.Buffer(1).At(0), one).Retry(unix.EINTR)
	s.Exit(zero)

	s.Place(holder)
	s.Call("close", unix.SYS_CLOSE, alive.Load32(0))
	s.Call("setsid", unix.SYS_SETSID)
}

// holderPIDSize is the length of the message with a holder's pid.
const holderPIDSize = 8

// settle waits until the holder holds and learns who it is.
func (h *holder) settle() error {
	if err := h.check(); err != nil {
		return fmt.Errorf("start holder: %w", err)
	}
	return nil
}

func (h *holder) check() error {
	b := make([]byte, script.ReportSize)
	n, _ := h.report.Read(b)
	if h.born {
		if err := h.adopt(); err != nil && n == 0 {
			return err
		}
	}
	if n > 0 {
		return h.script.Error(b[:n])
	}
	var err error
	if h.Process, err = container.FindProcess(h.proc.Pid); err != nil {
		return err
	}
	fd, err := unix.PidfdOpen(h.PID, 0)
	if err != nil {
		return fmt.Errorf("pidfd_open: %w", err)
	}
	h.pidfd = os.NewFile(uintptr(fd), "holder pidfd")
	return nil
}

// adopt takes the child that the process started has left behind for the holder.
func (h *holder) adopt() error {
	if _, err := h.proc.Wait(); err != nil {
		return err
	}
	pid := make([]byte, holderPIDSize)
	if n, err := unix.Read(int(h.peer.Fd()), pid); err != nil || n != len(pid) {
		return errors.New("the holder has ended")
	}
	var err error
	h.proc, err = os.FindProcess(int(binary.LittleEndian.Uint64(pid)))
	return err
}

// close gives up the descriptors; the holder goes on.
func (h *holder) close() {
	for _, f := range []*os.File{h.peer, h.pidfd, h.report} {
		if f != nil {
			f.Close()
		}
	}
}

// kill ends the holder and reaps it. One that is not settled ends as its socket does.
func (h *holder) kill() {
	_ = h.proc.Kill()
	_, _ = h.proc.Wait()
	h.close()
}

// wait returns how the process that the holder stands for ended: its exit
// status, or 128 and the number of the signal that killed it.
func (h *holder) wait() (int, error) {
	for {
		var status unix.WaitStatus
		_, err := unix.Wait4(h.PID, &status, 0, nil)
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return 0, fmt.Errorf("wait for container: %w", err)
		case status.Signaled():
			return 128 + int(status.Signal()), nil
		}
		return status.ExitStatus(), nil
	}
}

// enter has run called in the holder's network namespace, which is the
// container's as far as the host knows one. Processes it starts are there too.
func (h *holder) enter(run func() error) error { return within(nsPath(h.PID, "net"), run)() }

// within is run on a thread in the network namespace at path.
func within(path string, run func() error) func() error {
	return func() error {
		theirs, err := os.Open(path)
		if err != nil {
			return fmt.Errorf("network namespace: %w", err)
		}
		defer theirs.Close()
		ours, err := os.Open("/proc/thread-self/ns/net")
		if err != nil {
			return err
		}
		defer ours.Close()
		runtime.LockOSThread()
		if err := unix.Setns(int(theirs.Fd()), unix.CLONE_NEWNET); err != nil {
			runtime.UnlockOSThread()
			return fmt.Errorf("join network namespace %s: %w", path, err)
		}
		defer func() {
			// A thread that can't go back stays locked, and ends with its goroutine.
			if unix.Setns(int(ours.Fd()), unix.CLONE_NEWNET) == nil {
				runtime.UnlockOSThread()
			}
		}()
		return run()
	}
}
