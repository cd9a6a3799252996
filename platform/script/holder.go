package script

import (
	"encoding/binary"
	"math"

	"golang.org/x/sys/unix"
)

// MessageSize is the length of the one message a holder reads.
const MessageSize = 8

// What a holder's message asks, its first word; the second is the code.
const (
	messageExit   = 1
	messageSignal = 2
)

// ExitMessage tells a holder to exit with status code (its low 8 bits).
func ExitMessage(code int) []byte { return message(messageExit, uint32(code&0xff)) }

// SignalMessage tells a holder to die of signal sig.
func SignalMessage(sig int) []byte { return message(messageSignal, uint32(sig)) }

func message(kind, code uint32) []byte {
	return binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(nil, kind), code)
}

// SignalSize is the length of what a holder sends for a signal that it was
// sent: struct signalfd_siginfo, whose first 32-bit word is the number.
const SignalSize = 128

// Hold appends the steps of a holder: a process that stands for a guest
// process towards whoever waits for its pid. It names itself comm (15 bytes),
// blocks every signal (SIGKILL and SIGSTOP can't be), and waits for one message
// on descriptor fd, an inherited pipe or socket. Then it exits or dies of a
// signal as the message says, so that its parent's wait status is the guest's.
// If the writing end closes first, or sends anything else, it dies of SIGKILL.
// If fd is a SOCK_SEQPACKET socket, each signal that it is sent meanwhile goes
// out on it in SignalSize bytes; none waits for a peer that does not read.
// What the script does before, it does before it holds.
func (s *Script) Hold(fd int, comm string) {
	all := s.Bytes(binary.LittleEndian.AppendUint64(nil, math.MaxUint64))
	in := s.Buffer(MessageSize)
	kill, signal := s.NewLabel(), s.NewLabel()

	s.Call("block signals", unix.SYS_RT_SIGPROCMASK, Int(unix.SIG_SETMASK), all, Int(0), Int(8))
	s.Call("prctl PR_SET_NAME", unix.SYS_PRCTL, Int(unix.PR_SET_NAME), s.String(comm))
	// A guest that dumped core has said so itself; the holder must not do it too.
	s.Call("set RLIMIT_CORE", unix.SYS_SETRLIMIT, Int(unix.RLIMIT_CORE), s.Buffer(16).At(0)).Keep()
	s.forwardUntilReadable(fd, all)
	n := s.Call("read message", unix.SYS_READ, Int(uintptr(fd)), in.At(0), Int(MessageSize)).
		Retry(unix.EINTR).OnError(kill)
	s.IfNotEqual(n.Result(), Int(MessageSize), kill)
	s.IfEqual(in.Load32(0), Int(messageSignal), signal)
	s.IfNotEqual(in.Load32(0), Int(messageExit), kill)
	s.Exit(in.Load32(4))

	s.Place(signal)
	// Only this signal is unblocked: others may be pending, and would win.
	bit := s.ShiftLeft(Int(1), s.Add(in.Load32(4), Signed(-1)).Result())
	mask := s.Xor(bit.Result(), Signed(-1))
	s.Call("reset signal", unix.SYS_RT_SIGACTION, in.Load32(4), s.Buffer(32).At(0), Int(0), Int(8)).Keep()
	pid := s.Call("getpid", unix.SYS_GETPID)
	s.Call("kill", unix.SYS_KILL, pid.Result(), in.Load32(4)).Keep()
	s.Call("unblock signal", unix.SYS_RT_SIGPROCMASK, Int(unix.SIG_SETMASK), mask.Address(), Int(0), Int(8)).Keep()

	s.Place(kill)
	self := s.Call("getpid", unix.SYS_GETPID)
	s.Call("kill", unix.SYS_KILL, self.Result(), Int(uintptr(unix.SIGKILL)))
	s.Exit(Int(128 + uintptr(unix.SIGKILL)))
}

// forwardUntilReadable sends the blocked signals in the set at address all to
// the socket fd as they arrive, until there is something to read from fd.
func (s *Script) forwardUntilReadable(fd int, all Arg) {
	again, done := s.NewLabel(), s.NewLabel()
	info := s.Buffer(SignalSize)
	signals := s.Call("signalfd", unix.SYS_SIGNALFD4, Signed(-1), all, Int(8), Int(unix.SFD_CLOEXEC|unix.SFD_NONBLOCK))
	set := s.Buffer(16) // two struct pollfd {fd int32, events, revents int16}
	s.Store32(set.At(0), Int(uintptr(fd)))
	s.Store32(set.At(8), signals.Result())

	s.Place(again)
	s.Store32(set.At(4), Int(unix.POLLIN)) // and no revents
	s.Store32(set.At(12), Int(unix.POLLIN))
	s.Call("poll", unix.SYS_POLL, set.At(0), Int(2), Signed(-1)).Retry(unix.EINTR)
	s.IfNotEqual(set.Load32(4), Int(unix.POLLIN), done)
	s.Call("read signal", unix.SYS_READ, signals.Result(), info.At(0), Int(SignalSize)).Keep()
	s.Call("forward signal", unix.SYS_SENDTO, Int(uintptr(fd)), info.At(0), Int(SignalSize),
		Int(unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL), Int(0), Int(0)).Keep()
	s.Jump(again)
	s.Place(done)
}
