package systrap

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"

	"golang.org/x/sys/unix"

	"garrison/platform"
	"garrison/platform/arch"
	"garrison/platform/script"
)

// Where the stages of the gate begin, see gate_amd64.s.
type gateStages struct {
	saved   uint64 // the registers are on the page, AX is no longer the guest's
	waits   uint64 // the call is published
	replied uint64 // the reply has been taken
	end     uint64
}

// gateText is the gate's text, and the stages in it.
func gateText() ([]byte, gateStages) {
	text := script.Text(gateAddress())
	at := func(mark byte) uint64 {
		i := bytes.Index(text, []byte{0x0f, 0x1f, 0x40, mark})
		if i < 0 {
			panic("systrap: a stage of the gate has no beginning")
		}
		return stubGate + uint64(i)
	}
	return text, gateStages{saved: at(0x51), waits: at(0x52), replied: at(0x53), end: stubGate + uint64(len(text))}
}

// stubPage is the content of the page of stub text: on a host that does not let
// programs load FS and GS, if noBases is set.
func stubPage(noBases bool) []byte {
	handler := script.Text(stubAddress())
	gate, _ := gateText()
	back := script.Text(backAddress())
	if len(handler) > stubGate-stubText || len(gate) > stubBack-stubGate || len(back) > backMax {
		panic("systrap: the stub's text is too long")
	}
	text := bytes.Repeat([]byte{breakpoint}, arch.PageSize)
	copy(text, handler)
	copy(text[stubGate-stubText:], gate)
	copy(text[stubBack-stubText:], back)
	blocked := uint64(openSignals)
	binary.LittleEndian.PutUint64(text[stubMask-stubText:], ^blocked)
	clear(text[stubBases-stubText:][:8])
	if !noBases {
		text[stubBases-stubText] = 1
	}
	return text
}

const breakpoint = 0xcc

// backMax is more than the text of the way back has; stub_amd64.s has it, too.
const backMax = 0x200

// stubTexts are the pages of a stub's text, one behind the other, as the file
// has them: at stubText, stubThreads and stubSolo.
func stubTexts(noBases bool) []byte {
	text := stubPage(noBases)
	for _, address := range []uintptr{threadsAddress(), soloAddress()} {
		page := bytes.Repeat([]byte{breakpoint}, arch.PageSize)
		copy(page, script.Text(address))
		text = append(text, page...)
	}
	return text
}

// begin prepares the page of a thread that has not run yet, in the region r.
func (r region) begin(g *gateStages, threaded bool) {
	p := r.page
	p.self = r.addr()
	p.threaded = 0
	if threaded {
		p.threaded = 1
	}
	p.gate, p.noted, p.answered = 0, 0, 0
	clear(p.answer[:])
	p.waitStart, p.waitLen = g.waits, g.replied-g.waits
}

// contains reports whether ip is in the gate's text.
func (g *gateStages) contains(ip uint64) bool { return stubGate <= ip && ip < g.end }

// Flags that LAHF and SETO save, and those that every guest has.
const (
	lahfMask     = 0xd5
	overflowFlag = 1 << 11
	startFlags   = 0x202
)

// gateEvent is the event of a call by the gate, whose registers it stores.
func (c *Context) gateEvent(regs *arch.Regs) platform.Event {
	g := c.thread.region.page.call // a copy: it is the guest's to change
	enosys := int64(unix.ENOSYS)
	regs.OrigRAX, regs.RAX = g.rax, uint64(-enosys)
	regs.RDI, regs.RSI, regs.RDX, regs.R10, regs.R8, regs.R9 = g.rdi, g.rsi, g.rdx, g.r10, g.r8, g.r9
	regs.RSP, regs.RBX, regs.RBP = g.rsp, g.rbx, g.rbp
	regs.R12, regs.R13, regs.R14, regs.R15 = g.r12, g.r13, g.r14, g.r15
	regs.RFLAGS = startFlags | g.flag>>8&lahfMask
	if g.flag&1 != 0 {
		regs.RFLAGS |= overflowFlag
	}
	regs.RIP, regs.RCX, regs.R11 = g.rip, g.rip, regs.RFLAGS
	c.thread.gated, c.called = true, *regs
	return platform.Event{Kind: platform.Syscall}
}

// plain reports whether regs are those of the call by the gate but for its result.
func (c *Context) plain(regs *arch.Regs) bool {
	c.called.RAX, c.called.OrigRAX = regs.RAX, regs.OrigRAX
	return *regs == c.called
}

// leaveGate makes the stub, which waits in the gate, wait in its handler. FS and
// GS, which the gate doesn't tell, are now known: the guest may have loaded them
// itself since they last were.
func (c *Context) leaveGate(regs *arch.Regs) error {
	if err := c.thread.ready(); err != nil {
		return err
	}
	if regs.FSBase == c.called.FSBase {
		regs.FSBase = c.thread.fs
	}
	if regs.GSBase == c.called.GSBase {
		regs.GSBase = c.thread.guestGS()
	}
	return nil
}

// Answer implements platform.Answerer.
func (c *Context) Answer(nr, v uint64) {
	if nr >= answers {
		return
	}
	i := slices.IndexFunc(c.answers, func(a told) bool { return a.nr == nr })
	if i < 0 {
		i = len(c.answers)
		c.answers = append(c.answers, told{nr: nr})
	}
	if c.answers[i].v = v; c.thread != nil {
		c.thread.region.page.answer[nr] = v + 1
	}
}

// Forget implements platform.Answerer.
func (c *Context) Forget() {
	if c.thread != nil {
		c.thread.hide(c.answers)
	}
	c.answers = c.answers[:0]
}

// A told is what Answer was told.
type told struct{ nr, v uint64 }

// hostGS is what GS must be for the guest to have base there: unless the guest
// wants it to be something, it is where the gate finds the region.
func (t *thread) hostGS(base uint64) uint64 {
	if base == 0 {
		return t.region.addr()
	}
	return base
}

// guestGS is hostGS's inverse, for what the thread has now.
func (t *thread) guestGS() uint64 {
	if t.gs == t.region.addr() {
		return 0
	}
	return t.gs
}

// inGate makes of the frame f, of a signal that came in the gate's text, the
// guest's registers as if it had come before the call, or after it: then they
// are what the sentry has replied with. It reports whether the signal is the
// guest's business at all.
func (c *Context) inGate(f *sigframe, regs *arch.Regs) (happened bool) {
	ip := f.rip
	regs.OrigRAX = ^uint64(0)
	regs.FSBase, regs.GSBase = c.thread.fs, c.thread.guestGS()
	if ip >= c.p.gate.waits {
		return (unix.Signal(f.signo) == interruptSignal || unix.Signal(f.signo) == unix.SIGSYS) && c.interrupted.Swap(false)
	}
	if ip > stubGate {
		f.rbx = f.r11
	}
	if ip >= c.p.gate.saved {
		f.rax = c.thread.region.page.call.rax
	}
	// To the SYSCALL instruction, which stands before the address to return to.
	f.rip = f.rcx - 2
	f.store(regs, c.step)
	return unix.Signal(f.signo) == interruptSignal && c.interrupted.Swap(false)
}

// hotSites counts system calls by where they come from, in sets of two.
type hotSites [64][2]hotSite

type hotSite struct {
	ip      uint64
	times   uint32
	opinion opinion // of its last reply
}

// An opinion says what a reply was.
type opinion uint8

const (
	unknown opinion = iota
	plain           // its result and no more
	special         // more: it needs the signal frame, and the gate would gain nothing
)

// hotTimes is how many calls make a site hot: to patch it costs as much as some
// ten of them gain.
const hotTimes = 16

// set is where the site ip is, if anywhere.
func (h *hotSites) set(ip uint64) *[2]hotSite { return &h[ip*0x9e3779b97f4a7c15>>58] }

// note takes account of a call that returns to ip, and reports whether it is
// the one that makes its site hot.
func (h *hotSites) note(ip uint64) bool {
	set := h.set(ip)
	s := &set[0]
	switch {
	case s.ip == ip:
	case set[1].ip == ip, set[1].times < s.times:
		s = &set[1]
	}
	if s.ip != ip {
		*s = hotSite{ip: ip}
	}
	s.times++
	return s.times == hotTimes
}

// judge takes account of the reply to the call that returns to ip, and reports
// whether the opinion is another than before.
func (h *hotSites) judge(ip uint64, o opinion) (news bool) {
	set := h.set(ip)
	for i := range set {
		if s := &set[i]; s.ip == ip {
			if o == special {
				s.times = 0
			}
			news = s.opinion != o
			s.opinion = o
		}
	}
	return news
}

// judge takes account of the reply to the last call by SYSCALL, if it had none yet.
func (c *Context) judge(isPlain bool) {
	if c.site == 0 {
		return
	}
	o := special
	if isPlain {
		o = plain
	}
	if c.hot.judge(c.site, o) {
		c.judged = platform.Site{IP: arch.Addr(c.site), NR: c.siteNr, Plain: isPlain}
	}
	c.site = 0
}

// ready makes sure that the stub, which has told something, waits in its handler:
// only that does more than return.
func (t *thread) ready() error {
	if !t.gated {
		return nil
	}
	t.send(flagReport)
	if err := t.receive(); err != nil {
		return err
	}
	if t.region.page.gate != 0 {
		return errors.New("systrap: stub stays in the gate")
	}
	_, err := t.look()
	return err
}
