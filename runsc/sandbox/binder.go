package sandbox

import (
	"encoding/binary"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"garrison/platform/script"
)

// A binder is the process that binds low ports for a sentry with the host's sockets. To
// have that right (CAP_NET_BIND_SERVICE) over the host's namespace itself, the sentry would
// have to be in the host's user namespace. The binder has that right and no other, an
// empty root and a list of six system calls; it is a script, of a few pages. It is asked by
// messages on a SOCK_SEQPACKET socket: 8 bytes of length, an address, and by SCM_RIGHTS the
// socket to be bound; the answer is what bind(2) returned, in 8 bytes. It ends as the socket
// does, or when it is asked anything else.
type binder struct {
	proc *os.Process
	peer *os.File // the sentry's end
}

// Descriptors of a binder.
const (
	binderSocketFD = 3
	binderReportFD = 4 // where a failing step is named, and which ends when it serves
	binderEndFD    = 5
)

// binderTimeout is how long a sentry waits for an answer, which takes microseconds, before
// it takes the binder for dead.
const binderTimeout = 2 * time.Second

// startBinder starts a binder and waits until it serves.
func startBinder() (*binder, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("start binder: %w", err)
	}
	b := &binder{peer: os.NewFile(uintptr(fds[0]), "binder")}
	theirs := os.NewFile(uintptr(fds[1]), "binder")
	defer theirs.Close()
	timeout := unix.NsecToTimeval(int64(binderTimeout))
	err = unix.SetsockoptTimeval(fds[0], unix.SOL_SOCKET, unix.SO_RCVTIMEO, &timeout)
	if err == nil {
		err = b.start(theirs)
	}
	if err != nil {
		b.close()
		return nil, fmt.Errorf("start binder: %w", err)
	}
	return b, nil
}

func (b *binder) start(socket *os.File) error {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer null.Close()
	report, reportEnd, err := os.Pipe()
	if err != nil {
		return err
	}
	defer report.Close()
	s := binderScript()
	b.proc, err = startScript(s, "runsc-binder", []*os.File{null, null, null, socket, reportEnd},
		&unix.SysProcAttr{Setsid: true, Cloneflags: ownNamespaces})
	reportEnd.Close()
	if err != nil {
		return err
	}
	failed := make([]byte, script.ReportSize)
	if n, _ := report.Read(failed); n > 0 {
		b.kill()
		return s.Error(failed[:n])
	}
	return nil
}

// close gives up the sentry's end; the binder goes on if another has it too.
func (b *binder) close() { b.peer.Close() }

// kill ends the binder and reaps it.
func (b *binder) kill() {
	_ = b.proc.Kill()
	_, _ = b.proc.Wait()
}

// binderScript is what a binder does.
func binderScript() *script.Script {
	s := new(script.Script)
	zero := script.Int(0)
	s.ReportTo(binderReportFD)
	closeFrom(s, binderEndFD)
	emptyRoot(s)
	s.Call("set RLIMIT_CORE", unix.SYS_SETRLIMIT, script.Int(unix.RLIMIT_CORE), s.Buffer(16).At(0))
	dropRights(s, 1<<unix.CAP_NET_BIND_SERVICE)
	s.Call("prctl PR_SET_DUMPABLE", unix.SYS_PRCTL, script.Int(unix.PR_SET_DUMPABLE), zero, zero, zero, zero)
	filter := allowOnly(unix.SYS_RECVMSG, unix.SYS_GETSOCKOPT, unix.SYS_BIND, unix.SYS_SENDTO, unix.SYS_CLOSE, unix.SYS_EXIT_GROUP)
	program := s.Buffer(16) // struct sock_fprog
	s.Store32(program.At(0), script.Int(uintptr(len(filter)/sockFilterSize)))
	s.Store64(program.At(8), s.Bytes(filter))
	s.Call("install seccomp filter", unix.SYS_PRCTL, script.Int(unix.PR_SET_SECCOMP), script.Int(unix.SECCOMP_MODE_FILTER), program.At(0), zero, zero)
	// The end of the report says that what could fail has been done.
	s.Call("close", unix.SYS_CLOSE, script.Int(binderReportFD))
	serveBinds(s)
	return s
}

// serveBinds answers until nobody asks any more.
func serveBinds(s *script.Script) {
	const (
		dataSize    = 8 + unix.SizeofSockaddrInet6
		controlSize = 24 // of one descriptor: struct cmsghdr, the number, and padding
	)
	socket, zero := script.Int(binderSocketFD), script.Int(0)
	header, data, control, vector := s.Buffer(56), s.Buffer(128), s.Buffer(controlSize), s.Buffer(16)
	answer, domain, size := s.Buffer(8), s.Buffer(8), s.Buffer(8)
	again, known, end := s.NewLabel(), s.NewLabel(), s.NewLabel()
	s.Store64(vector.At(0), data.At(0)) // struct iovec
	s.Store64(vector.At(8), script.Int(dataSize))
	s.Store64(header.At(16), vector.At(0)) // struct msghdr: vector, its length, control data
	s.Store64(header.At(24), script.Int(1))
	s.Store64(header.At(32), control.At(0))

	s.Place(again)
	s.Store64(header.At(40), script.Int(controlSize))
	asked := s.Call("receive", unix.SYS_RECVMSG, socket, header.At(0), script.Int(unix.MSG_CMSG_CLOEXEC)).Retry(unix.EINTR).OnError(end)
	s.IfEqual(asked.Result(), zero, end)
	s.IfNotEqual(header.Load64(40), script.Int(controlSize), end)
	s.IfNotEqual(control.Load32(12), script.Int(unix.SCM_RIGHTS), end)
	s.Store32(size.At(0), script.Int(4))
	s.Call("ask for the family", unix.SYS_GETSOCKOPT, control.Load32(16), script.Int(unix.SOL_SOCKET), script.Int(unix.SO_DOMAIN), domain.At(0), size.At(0)).OnError(end)
	s.IfEqual(domain.Load32(0), script.Int(unix.AF_INET), known)
	s.IfNotEqual(domain.Load32(0), script.Int(unix.AF_INET6), end)
	s.Place(known)
	bound := s.Call("bind", unix.SYS_BIND, control.Load32(16), data.At(8), data.Load32(0)).Keep()
	s.Store64(answer.At(0), bound.Result())
	s.Call("close", unix.SYS_CLOSE, control.Load32(16)).Keep()
	s.Call("answer", unix.SYS_SENDTO, socket, answer.At(0), script.Int(8), script.Int(unix.MSG_NOSIGNAL), zero, zero).OnError(end)
	s.Jump(again)

	s.Place(end)
	s.Exit(zero)
}

// sockFilterSize is the size of struct sock_filter.
const sockFilterSize = 8

// allowOnly is a seccomp(2) program that ends a process for any call but those.
func allowOnly(calls ...uint32) (program []byte) {
	add := func(code uint16, yes, no uint8, k uint32) {
		program = binary.LittleEndian.AppendUint16(program, code)
		program = binary.LittleEndian.AppendUint32(append(program, yes, no), k)
	}
	const (
		load        = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS
		equal       = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K
		number      = 0 // where struct seccomp_data has it, and
		arch        = 4
		killProcess = 0x80000000
		allow       = 0x7fff0000
	)
	n := uint8(len(calls))
	add(load, 0, 0, arch)
	add(equal, 0, n+1, unix.AUDIT_ARCH_X86_64)
	add(load, 0, 0, number)
	for i, nr := range calls {
		add(equal, n-uint8(i), 0, nr)
	}
	add(unix.BPF_RET|unix.BPF_K, 0, 0, killProcess)
	add(unix.BPF_RET|unix.BPF_K, 0, 0, allow)
	return program
}
