package sandbox

import (
	"fmt"
	"os"
	"runtime"
	"strconv"

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
}

// Descriptors of a holder.
const (
	holderSocketFD = 3
	holderReportFD = 4
	// Then network namespace and terminal, if any, in this order.
	holderEndFD = 7 // no descriptor from here on
)

// holderNamespaces are those that a holder has for itself: who enters a container by
// its pid (podman cp, nsenter(1)) must not find the host there. A pid namespace is not
// among them: its pid 1 can't end by SIGKILL, as its init may have.
const holderNamespaces = unix.CLONE_NEWNS | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS | unix.CLONE_NEWCGROUP

// holderComm is what ps(1) and top(1) call a holder.
const holderComm = "runsc-init"

// A network says which network namespace a holder shall be in.
type network struct {
	fresh bool   // one of its own
	path  string // or this one; else the caller's
}

// startHolder starts a holder for a process of container id. terminal, which
// may be nil, becomes its controlling terminal, so that the terminal's SIGWINCH
// and SIGHUP reach it, and through it the sentry.
func startHolder(id string, net network, terminal *os.File) (*holder, error) {
	h, err := newHolder(id, net, terminal)
	if err != nil {
		return nil, fmt.Errorf("start holder: %w", err)
	}
	return h, nil
}

func newHolder(id string, net network, terminal *os.File) (*holder, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	h := &holder{peer: os.NewFile(uintptr(fds[0]), "holder")}
	socket := os.NewFile(uintptr(fds[1]), "holder")
	defer socket.Close()
	report, reportEnd, err := os.Pipe()
	if err != nil {
		h.close()
		return nil, err
	}
	defer report.Close()
	s, err := h.launch(id, net, socket, reportEnd, terminal)
	reportEnd.Close()
	if err != nil {
		h.close()
		return nil, err
	}
	if err := h.check(s, report); err != nil {
		h.kill()
		return nil, err
	}
	return h, nil
}

// launch executes the holder's script, with its descriptors 3 and 4.
func (h *holder) launch(id string, net network, socket, report, terminal *os.File) (*script.Script, error) {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer null.Close()
	files := []*os.File{null, null, null, socket, report}
	s := new(script.Script)
	s.ReportTo(holderReportFD)
	closeFrom(s, holderEndFD)
	emptyRoot(s)
	attr := &unix.SysProcAttr{Setsid: true, Cloneflags: holderNamespaces}
	if net.fresh {
		attr.Cloneflags |= unix.CLONE_NEWNET
	}
	if net.path != "" {
		ns, err := os.Open(net.path)
		if err != nil {
			return nil, fmt.Errorf("network namespace: %w", err)
		}
		defer ns.Close()
		fd := script.Int(uintptr(len(files)))
		s.Call("join network namespace "+net.path, unix.SYS_SETNS, fd, script.Int(unix.CLONE_NEWNET))
		s.Call("close", unix.SYS_CLOSE, fd)
		files = append(files, ns)
	}
	if terminal != nil {
		fd := script.Int(uintptr(len(files)))
		s.Call("take terminal", unix.SYS_IOCTL, fd, script.Int(unix.TIOCSCTTY), script.Int(0))
		s.Call("close", unix.SYS_CLOSE, fd)
		files = append(files, terminal)
	}
	// The end of the report says that what could fail has been done.
	s.Call("close", unix.SYS_CLOSE, script.Int(holderReportFD))
	s.Hold(holderSocketFD, holderComm)
	h.proc, err = startScript(s, holderComm, files, attr, id)
	return s, err
}

// check waits until the holder holds and learns who it is.
func (h *holder) check(s *script.Script, report *os.File) error {
	b := make([]byte, script.ReportSize)
	if n, _ := report.Read(b); n > 0 {
		return s.Error(b[:n])
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

// close gives up the descriptors; the holder goes on.
func (h *holder) close() {
	h.peer.Close()
	if h.pidfd != nil {
		h.pidfd.Close()
	}
}

// kill ends the holder and reaps it.
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

// enter calls run on a thread in the holder's network namespace, which is the
// container's as far as the host knows one. Processes it starts are there too.
func (h *holder) enter(run func() error) error {
	theirs, err := os.Open("/proc/" + strconv.Itoa(h.PID) + "/ns/net")
	if err != nil {
		return err
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
		return fmt.Errorf("join network namespace: %w", err)
	}
	defer func() {
		// A thread that can't go back stays locked, and ends with its goroutine.
		if unix.Setns(int(ours.Fd()), unix.CLONE_NEWNET) == nil {
			runtime.UnlockOSThread()
		}
	}()
	return run()
}
