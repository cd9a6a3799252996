package scripted

import (
	"encoding/binary"
	"runtime"

	"garrison/platform"
	"garrison/platform/arch"
	"garrison/sentry/linux"
	"garrison/sentry/mm/mmtest"
	"garrison/sentry/usermem"
)

// System calls that guests make on their own account.
const (
	sysMmap      = 9
	sysSigaction = 13
	sysSigreturn = 15
	sysClone     = 56
	sysExitGroup = 231
)

// codeBase is where the addresses of handlers and of return points are: nothing
// is there, and nothing executes it.
const codeBase = 0x1000

// A Guest is a guest thread as its function sees it.
type Guest struct {
	c     *context
	arena arch.Addr // guest memory yet to be handed out
	left  int
	pc    uint64

	// Info is the siginfo, and Context the registers, of the handler that runs.
	Info    linux.SigInfo
	Context linux.UContext
}

// Call makes a system call and returns RAX: a negated errno is negative. Signal
// handlers run before it returns.
func (g *Guest) Call(nr uint64, args ...uint64) int64 {
	r := g.c.regs
	g.pc += 16
	pc := codeBase<<20 + g.pc
	var a [6]uint64
	copy(a[:], args)
	r.RAX, r.RDI, r.RSI, r.RDX, r.R10, r.R8, r.R9 = nr, a[0], a[1], a[2], a[3], a[4], a[5]
	r.RIP = pc
	for {
		r = g.c.regs
		if r.RIP != pc {
			return int64(r.RAX)
		}
		r.OrigRAX = r.RAX
		r.RAX = ^uint64(linux.ENOSYS) + 1
		r.RIP = pc + 2
		g.c.stop(platform.Event{Kind: platform.Syscall})
		g.landed(pc + 2)
	}
}

// landed is where a guest comes to when it goes on: at the address it expects, one
// instruction before it to make its call again, in a handler, or in a new program.
func (g *Guest) landed(at uint64) {
	for {
		r := g.c.regs
		switch ip := r.RIP; {
		case ip == at || ip == at-2:
			return
		case ip>>20 == codeBase+1:
			g.handler(g.c.p.function(ip & 0xfffff))
		default: // execve
			g.c.started = true
			r.R15 = 0
			go g.c.begin()
			runtime.Goexit()
		}
	}
}

// handler runs f as a signal handler, and returns from it.
func (g *Guest) handler(f func(*Guest)) {
	r := g.c.regs
	sp := arch.Addr(r.RSP)
	info, context := g.Info, g.Context
	g.Load(arch.Addr(r.RSI), usermem.AsBytes(&g.Info))
	g.Load(arch.Addr(r.RDX), usermem.AsBytes(&g.Context))
	f(g)
	g.Info, g.Context = info, context
	r = g.c.regs
	r.RSP = uint64(sp) + 8
	r.OrigRAX, r.RAX = sysSigreturn, ^uint64(linux.ENOSYS)+1
	g.c.stop(platform.Event{Kind: platform.Syscall})
}

// Handle makes f the handler of s.
func (g *Guest) Handle(s linux.Signal, flags linux.SigActionFlags, mask linux.SigSet, f func(*Guest)) {
	n := g.c.p.add(f)
	g.Action(s, linux.SigAction{
		Handler: (codeBase+1)<<20 | n, Flags: flags | linux.SA_RESTORER | linux.SA_SIGINFO, Restorer: 1, Mask: mask,
	})
}

// Action is rt_sigaction(2).
func (g *Guest) Action(s linux.Signal, a linux.SigAction) int64 {
	return g.Call(sysSigaction, uint64(s), g.Put(usermem.AsBytes(&a)), 0, linux.SigSetSize)
}

// Clone makes a thread or a process that runs f: clone(2). It returns what the parent gets.
func (g *Guest) Clone(flags linux.CloneFlags, f func(*Guest)) int64 {
	r := g.c.regs
	old := r.R15
	r.R15 = g.c.p.add(f)
	stack := uint64(0)
	if flags&linux.CLONE_VM != 0 && flags&linux.CLONE_VFORK == 0 {
		const size = 64 << 10
		stack = uint64(g.Alloc(size)) + size
	}
	pid := g.Call(sysClone, uint64(flags), stack)
	g.c.regs.R15 = old
	return pid
}

// Fork is fork(2).
func (g *Guest) Fork(f func(*Guest)) int64 { return g.Clone(linux.CloneFlags(linux.SIGCHLD), f) }

// Spin computes, without a system call, until done.
func (g *Guest) Spin(done func() bool) {
	g.pc += 16
	pc := codeBase<<20 + g.pc
	g.c.regs.RIP = pc
	g.c.regs.OrigRAX = ^uint64(0)
	for !done() {
		g.c.stop(platform.Event{Kind: spinning})
		g.landed(pc)
	}
}

// Fault makes the thread fault at a.
func (g *Guest) Fault(a arch.Addr) {
	g.pc += 16
	pc := codeBase<<20 + g.pc
	g.c.regs.RIP = pc
	g.c.regs.OrigRAX = ^uint64(0)
	g.c.stop(platform.Event{Kind: platform.Fault, Addr: a, Access: arch.Read, Signal: int32(linux.SIGSEGV), Code: linux.SEGV_MAPERR})
	g.landed(pc)
}

// Alloc is n bytes of zeroed guest memory.
func (g *Guest) Alloc(n int) arch.Addr {
	const chunk = 1 << 20
	n = (n + 15) &^ 15
	if n > g.left {
		a := g.Call(sysMmap, 0, chunk, 3, uint64(linux.MAP_PRIVATE|linux.MAP_ANONYMOUS), ^uint64(0), 0)
		g.arena, g.left = arch.Addr(a), chunk
	}
	a := g.arena
	g.arena, g.left = a+arch.Addr(n), g.left-n
	return a
}

// Put stores b in new memory and returns its address.
func (g *Guest) Put(b []byte) uint64 {
	a := g.Alloc(len(b))
	g.Store(a, b)
	return uint64(a)
}

// PutString is Put of a NUL-terminated string.
func (g *Guest) PutString(s string) uint64 { return g.Put(append([]byte(s), 0)) }

// Load reads guest memory as the guest would, Store writes it.
func (g *Guest) Load(a arch.Addr, b []byte) { g.access(a, b, false) }

// Store writes guest memory.
func (g *Guest) Store(a arch.Addr, b []byte) { g.access(a, b, true) }

func (g *Guest) access(a arch.Addr, b []byte, write bool) {
	how := arch.Read
	if write {
		how = arch.Write
	}
	for range 100 {
		if g.c.as.(*mmtest.AddressSpace).Access(b, a, write) == nil {
			return
		}
		rip, orig := g.c.regs.RIP, g.c.regs.OrigRAX
		for at := a.Down(); at < a+arch.Addr(len(b)); at += arch.PageSize {
			g.c.stop(platform.Event{Kind: platform.Fault, Addr: max(at, a), Access: how, Signal: int32(linux.SIGSEGV), Code: linux.SEGV_ACCERR})
		}
		g.c.regs.RIP, g.c.regs.OrigRAX = rip, orig
	}
	panic("scripted: memory stays out of reach")
}

// Load32 reads a word, Store32 writes one.
func (g *Guest) Load32(a arch.Addr) uint32 {
	var b [4]byte
	g.Load(a, b[:])
	return binary.LittleEndian.Uint32(b[:])
}

// Store32 writes a word.
func (g *Guest) Store32(a arch.Addr, v uint32) {
	g.Store(a, binary.LittleEndian.AppendUint32(nil, v))
}

// Sigreturn stores a frame and calls rt_sigreturn(2). If fp is not 0 the frame's
// vector state is said to be fp bytes behind its start. What the registers
// are then is the frame's word: the guest ends with its next step.
func (g *Guest) Sigreturn(frame []byte, fp uint64) {
	const fpState = 8 + 40 + 184 // of RTSigFrame
	b := make([]byte, 16<<10)
	copy(b, frame)
	a := g.Put(b)
	if fp != 0 {
		at := a + fp
		g.Store(arch.Addr(a)+fpState, usermem.AsBytes(&at))
	}
	r := g.c.regs
	r.RSP = a + 8
	r.OrigRAX, r.RAX = sysSigreturn, ^uint64(linux.ENOSYS)+1
	g.c.stop(platform.Event{Kind: platform.Syscall})
	for {
		r = g.c.regs
		r.OrigRAX, r.RDI = sysExitGroup, 0
		g.c.stop(platform.Event{Kind: platform.Syscall})
	}
}
