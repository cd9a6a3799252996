package sandbox

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"garrison/runsc/cgroup"
	"garrison/runsc/container"
	"garrison/runsc/control"
)

// bootTimeout is how long a sentry may take to say that it is ready, on the
// slowest of hosts.
const bootTimeout = 2 * time.Minute

// boot opens what sentry and gofer are to have, sends it to them, and waits
// until the container is ready to start.
func (s *Sandbox) boot() error {
	l, err := newLayout(&s.Config)
	if err != nil {
		return err
	}
	// What is sent must not stay open here: each of the two learns of the
	// other's end by the end of their connection.
	ours, theirs, err := goferSockets()
	if err == nil {
		err = s.bootGofer(l, theirs)
		theirs.Close()
	}
	l.closeTrees()
	if err == nil {
		err = s.bootSentry(l, ours)
	}
	l.close()
	if ours != nil {
		ours.Close()
	}
	if err != nil {
		return err
	}
	s.beginView()
	var answer control.Booted
	if err := s.line.SetDeadline(time.Now().Add(bootTimeout)); err != nil {
		return err
	}
	if _, err := s.line.Receive(&answer); err != nil {
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return fmt.Errorf("sentry: no answer in %v", bootTimeout)
		}
		return s.sentryFailure(err)
	}
	if answer.Problem != nil {
		if !s.gofer.Alive() {
			return s.gofer.failure(answer.Problem)
		}
		return answer.Problem
	}
	for _, w := range answer.Warnings {
		if s.Warn != nil {
			s.Warn(w)
		}
	}
	if s.Step != nil {
		for _, step := range answer.Steps {
			s.Step("  sentry: " + step.Name + " " + time.Duration(step.Nanos).String())
		}
	}
	for _, c := range []*child{s.sentry, s.gofer} {
		if c != nil {
			calmMonitor(c.PID)
		}
	}
	return s.line.SetDeadline(time.Time{})
}

// goferSockets are the two ends of the first connection of sentry and gofer.
func goferSockets() (sentry, gofer *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("gofer socket: %w", err)
	}
	return os.NewFile(uintptr(fds[0]), "gofer"), os.NewFile(uintptr(fds[1]), "sentry"), nil
}

func (s *Sandbox) bootGofer(l *layout, socket *os.File) error {
	doc := control.GoferBoot{Socket: 0, Mounts: l.gofer, Debug: s.Options.Debug}
	for i := range doc.Mounts {
		doc.Mounts[i].Root = i + 1
	}
	if err := s.gofer.conn.Send(&doc, append([]*os.File{socket}, l.files()...)...); err != nil {
		return s.gofer.failure(err)
	}
	return nil
}

// bootSentry sends the boot document: to the container's own sentry, or to the pod's.
func (s *Sandbox) bootSentry(l *layout, gofer *os.File) error {
	var listener *os.File
	var err error
	if s.pod == nil {
		if listener, err = control.Listen(s.rec.Dir(), container.ControlName); err != nil {
			return err
		}
		defer listener.Close()
	}
	limits := cgroup.LimitsOf(s.Spec.Linux.Resources)
	if limits.CPUs != "" {
		// The sentry starts within the cpuset: it can't see how many there are.
		s.Options.CPUs = runtime.NumCPU()
	}
	pages, err := newPageFile(limits.Memory, s.uid)
	if err != nil {
		return err
	}
	defer pages.close()
	if s.rec.PageDevice, err = pages.device(); err != nil {
		return err
	}

	config, err := namedAsHost(s.Spec)
	if err != nil {
		return err
	}
	var files fileList
	doc := control.Boot{
		ID: s.ID, Spec: config, Mounts: l.mounts, Options: s.Options, Limits: limits,
		Control: files.add(listener), PageFile: files.add(pages.file), PageFileRO: files.add(pages.readOnly), PageMount: files.add(pages.mount), Gofer: files.add(gofer),
	}
	if l.image != nil {
		doc.Mounts[0].Image = files.add(l.image)
	}
	stdio, err := inheritedFiles(s.PreserveFDs)
	if err != nil {
		return err
	}
	defer control.CloseFiles(stdio)
	doc.Init = stdioOf(&files, s.holder, s.term, stdio)
	doc.Network, doc.HostNetwork = networkOf(&files, s.net), hostNetworkOf(&files, s.there, s.binder)
	if s.pod != nil {
		return s.join(&doc, files)
	}
	if err := s.line.Send(&doc, files...); err != nil {
		return s.sentryFailure(err)
	}
	return nil
}

// sentryFailure says why the sentry has broken off. A Go panic in its log says
// more than its exit status.
func (s *Sandbox) sentryFailure(err error) error {
	if s.pod != nil {
		return fmt.Errorf("sandbox of %s: %w", s.pod.ID, err)
	}
	err = s.sentry.failure(err)
	if line := breakdown(s.log.Name()); line != "" {
		return fmt.Errorf("%w: %s (--debug-log=FILE keeps the stack)", err, line)
	}
	return err
}

// Breakdown is the first line of what a sentry that has broken down by itself
// left in its log, or "" for one that ended in order or was killed.
func (s *Sandbox) Breakdown() string { return breakdown(s.log.Name()) }

func breakdown(path string) string {
	data, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	for _, mark := range []string{"panic: ", "fatal error: ", "SIGSYS: ", "SIGABRT: ", "SIGSEGV: "} {
		if i := bytes.Index(data, []byte("\n"+mark)); i >= 0 {
			data = data[i+1:]
		} else if !bytes.HasPrefix(data, []byte(mark)) {
			continue
		}
		line, _, _ := bytes.Cut(data, []byte("\n"))
		return string(line)
	}
	return ""
}

// A fileList collects the descriptors that ride on a message.
type fileList []*os.File

// add appends f and returns its number, or -1 for nil.
func (l *fileList) add(f *os.File) int {
	if f == nil {
		return -1
	}
	*l = append(*l, f)
	return len(*l) - 1
}

// stdioOf is the outside of a process: its terminal if it has one, else stdio.
func stdioOf(files *fileList, h *holder, t *terminal, stdio []*os.File) control.Stdio {
	out := control.Stdio{Terminal: -1, Holder: files.add(h.peer), HolderPID: files.add(h.pidfd)}
	if t != nil {
		out.Terminal = files.add(t.slave)
		stdio = stdio[min(3, len(stdio)):]
	}
	numbers := make([]int, len(stdio))
	for i, f := range stdio {
		// What shares an offset here (2>&1) shares one in the guest too.
		numbers[i] = -1
		for j := range i {
			if sameDescription(f, stdio[j]) {
				numbers[i] = numbers[j]
				break
			}
		}
		if numbers[i] < 0 {
			numbers[i] = files.add(f)
		}
	}
	out.Files = numbers
	return out
}

// sameDescription says whether two descriptors are of one open file (kcmp(2)). A
// host that does not tell has none.
func sameDescription(a, b *os.File) bool {
	const kcmpFile = 0 // KCMP_FILE
	pid := uintptr(os.Getpid())
	order, _, errno := unix.RawSyscall6(unix.SYS_KCMP, pid, pid, kcmpFile, a.Fd(), b.Fd(), 0)
	return errno == 0 && order == 0
}

// inheritedFiles are copies of this process's descriptors 0, 1, 2 and preserve
// more. One that is closed is a /dev/null: the guest's descriptors have the
// same numbers.
func inheritedFiles(preserve int) (files []*os.File, err error) {
	for fd := range 3 + preserve {
		// What this process has opened itself is close-on-exec, and not to be given away.
		if own, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); fd > 2 && (err != nil || own&unix.FD_CLOEXEC != 0) {
			control.CloseFiles(files)
			return nil, fmt.Errorf("--preserve-fds=%d: descriptor %d is not open", preserve, fd)
		}
		n, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
		if err == unix.EBADF {
			n, err = unix.Open(os.DevNull, unix.O_RDWR|unix.O_CLOEXEC, 0)
		}
		if err != nil {
			control.CloseFiles(files)
			return nil, fmt.Errorf("dup: %w", err)
		}
		files = append(files, os.NewFile(uintptr(n), "stdio"))
	}
	return files, nil
}

// setOOMScore makes the host's OOM killer prefer or spare a process. Only a
// privileged host lets it be lowered.
func setOOMScore(pid, score int) {
	_ = os.WriteFile("/proc/"+strconv.Itoa(pid)+"/oom_score_adj", []byte(strconv.Itoa(score)), 0)
}

// writePIDFile writes pid to path, which is seen whole or not at all.
func writePIDFile(path string, pid int) error {
	temp := filepath.Join(filepath.Dir(path), "."+filepath.Base(path))
	f, err := os.OpenFile(temp, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o666)
	if err != nil {
		return fmt.Errorf("pid file: %w", err)
	}
	_, err = io.WriteString(f, strconv.Itoa(pid))
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(temp, path)
	}
	if err != nil {
		_ = os.Remove(temp)
		return fmt.Errorf("pid file: %w", err)
	}
	return nil
}
