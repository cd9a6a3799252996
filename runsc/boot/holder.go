package boot

import (
	"encoding/binary"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"garrison/platform/script"
	"garrison/sentry/linux"
)

// flushTimeout is how long what a process wrote to its terminal may take to
// reach an outside that does not read.
const flushTimeout = 2 * time.Second

// outsideSignal is a signal from somebody whom the container can't see: its
// sender has no number here.
func outsideSignal(s linux.Signal) *linux.SigInfo { return &linux.SigInfo{Signo: int32(s)} }

// attend stands between a process and its holder: what is sent to the holder
// comes to the process, and the death of the holder is the process's.
func (ct *container) attend(p *process) {
	go ct.forwardSignals(p)
	go ct.watchHolder(p)
}

// end waits until the process has ended and its last output is out.
func (p *process) end() linux.WaitStatus {
	<-p.group.Done()
	if p.console != nil {
		p.console.Flush(flushTimeout)
		p.console.Close()
	}
	return p.group.Status()
}

// report tells the holder how the process ended, as which it then ends itself.
func (p *process) report(w linux.WaitStatus) {
	message := script.ExitMessage(int(w.Code()))
	if w.Signaled() {
		message = script.SignalMessage(int(w.TermSignal()))
	}
	if _, err := p.holder.Write(message); err != nil {
		logf("holder: %v", err)
	}
}

// forwardSignals passes on what somebody sent to the holder, until that is gone.
func (ct *container) forwardSignals(p *process) {
	defer p.holder.Close()
	buf := make([]byte, script.SignalSize)
	for {
		n, err := p.holder.Read(buf)
		if err != nil || n < 4 {
			return
		}
		switch sig := linux.Signal(binary.LittleEndian.Uint32(buf)); {
		case sig == linux.SIGCHLD:
		case sig == linux.SIGWINCH && p.console != nil:
			p.console.Refresh() // which tells the foreground
		case sig == linux.SIGHUP && p.console != nil:
			// The terminal's own hang-up says it already.
		default:
			ct.signal(p, sig)
		}
	}
}

// watchHolder ends the process when its holder has been killed.
func (ct *container) watchHolder(p *process) {
	defer p.pidfd.Close()
	waitReadable(p.pidfd)
	if !p.group.Exited() {
		logf("a holder was killed: its process ends too")
		ct.signal(p, linux.SIGKILL)
	}
}

// signal sends p a signal from outside. An init that has not been started ends
// by what would have ended it.
func (ct *container) signal(p *process, sig linux.Signal) {
	if p == ct.init && ct.abandon(sig) {
		return
	}
	if err := p.group.SignalFromOutside(outsideSignal(sig)); err != nil {
		logf("signal %d: %v", sig, err)
	}
}

// waitReadable waits until f has something to read or has failed.
func waitReadable(f *os.File) {
	fds := []unix.PollFd{{Fd: int32(f.Fd()), Events: unix.POLLIN}}
	for {
		if _, err := unix.Poll(fds, -1); err != unix.EINTR {
			return
		}
	}
}
