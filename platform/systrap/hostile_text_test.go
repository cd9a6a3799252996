package systrap

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"garrison/platform"
	"garrison/platform/arch"
	"garrison/platform/platformtest"
	"garrison/platform/stub"
)

// The stub's loop over operations does for a guest that jumps there what the
// guest likes, one call after another, from a list of its own. What the host lets
// through must be of no use.
func TestOwnOperations(t *testing.T) {
	p := newTestPlatform(t).(*Platform)
	defer p.Release()
	defer neighbours(t, p)()
	loop := textAt(t, 0x49, 0x8b, 0x04, 0x24) // mov (%r12),%rax
	before := processes(t, p)
	window := uint64(stubWindow)
	for _, c := range []stub.Call{
		{Nr: unix.SYS_MMAP, Args: [6]uint64{0x300000, 4096, 7, unix.MAP_SHARED | unix.MAP_FIXED, stubControl, 0}},
		{Nr: unix.SYS_MMAP, Args: [6]uint64{0x300000, 4096, 7, unix.MAP_PRIVATE | unix.MAP_ANONYMOUS}},
		{Nr: unix.SYS_MPROTECT, Args: [6]uint64{testCode, 4096, unix.PROT_READ | unix.PROT_WRITE}},
		{Nr: unix.SYS_MPROTECT, Args: [6]uint64{testCode, 4096, unix.PROT_READ | unix.PROT_WRITE | 1<<32}},
		{Nr: unix.SYS_MPROTECT, Args: [6]uint64{testCode, 4096, 1<<32 | unix.PROT_READ}},
		{Nr: unix.SYS_MPROTECT, Args: [6]uint64{window, 4096}},
		{Nr: unix.SYS_MPROTECT, Args: [6]uint64{stubRegions, 4096, unix.PROT_READ}},
		{Nr: unix.SYS_MPROTECT, Args: [6]uint64{stubRegions, stackEnd, unix.PROT_READ | unix.PROT_WRITE}},
		{Nr: unix.SYS_MPROTECT, Args: [6]uint64{stubRegions, regionSize, unix.PROT_READ | unix.PROT_WRITE}},
		{Nr: unix.SYS_MPROTECT, Args: [6]uint64{stubRegions + soloOps, 4096, unix.PROT_READ | unix.PROT_WRITE}},
		{Nr: unix.SYS_MPROTECT, Args: [6]uint64{stubRegions + soloOps, stackEnd, unix.PROT_READ | unix.PROT_WRITE}},
		{Nr: unix.SYS_RT_SIGRETURN}, {Nr: unix.SYS_RT_SIGPROCMASK, Args: [6]uint64{unix.SIG_SETMASK, testData, 0, 8}},
		{Nr: unix.SYS_MUNMAP, Args: [6]uint64{window, 4096}},
		{Nr: unix.SYS_MUNMAP, Args: [6]uint64{window - 4096, 8192}},
		{Nr: unix.SYS_MUNMAP, Args: [6]uint64{window - freeLen + 4096, freeLen}},
		{Nr: unix.SYS_MUNMAP, Args: [6]uint64{stubRegions, regionSize}},
		{Nr: unix.SYS_MUNMAP, Args: [6]uint64{stubVDSO, 0x4000}},
		{Nr: unix.SYS_MUNMAP, Args: [6]uint64{0, taskSize}},
		{Nr: unix.SYS_MUNMAP, Args: [6]uint64{0, 1<<32 + 4096}},
		{Nr: unix.SYS_MREMAP, Args: [6]uint64{stubRegions, 4096, 4096, 3, 0x300000}},
		{Nr: unix.SYS_MREMAP, Args: [6]uint64{testData, 4096, 4096, 3, stubText}},
		{Nr: unix.SYS_CLONE, Args: [6]uint64{forkFlags}},
		{Nr: unix.SYS_CLONE, Args: [6]uint64{threadFlags}},
		{Nr: unix.SYS_CLONE, Args: [6]uint64{unix.CLONE_VM | unix.CLONE_VFORK}},
		{Nr: unix.SYS_SCHED_YIELD},
		{Nr: unix.SYS_RT_SIGPROCMASK}, {Nr: unix.SYS_SIGALTSTACK}, {Nr: unix.SYS_EXECVE}, {Nr: unix.SYS_CLOSE},
		{Nr: unix.SYS_READ}, {Nr: unix.SYS_WRITE, Args: [6]uint64{stubControl, testData, 4096}},
		{Nr: unix.SYS_SENDMSG}, {Nr: unix.SYS_IOCTL}, {Nr: unix.SYS_SECCOMP}, {Nr: unix.SYS_PRCTL}, {Nr: unix.SYS_PTRACE},
		{Nr: unix.SYS_KILL, Args: [6]uint64{^uint64(0), uint64(unix.SIGKILL)}}, {Nr: unix.SYS_EXIT_GROUP},
		{Nr: unix.SYS_MMAP | 0x40000000}, {Nr: 1 << 32},
	} {
		// After one that goes through and is harmless, and before another.
		harmless := stub.Call{Nr: unix.SYS_MUNMAP, Args: [6]uint64{0x400000, 4096}}
		data := testFileWith(t, operations(harmless, c, harmless)...)
		h := newHostile(t, p, testFileWith(t, 0xff, 0xe5), data) // jmp *%rbp
		h.regs.RBP = 8                                           // any fault will do
		was := h.begin()
		h.regs.RBP, h.regs.R12, h.regs.R13, h.regs.R14, h.regs.RBX = loop, testData, 0, 3, testData+0x8000
		h.run(3)
		h.unharmed(fmt.Sprintf("%d%#x", c.Nr, c.Args), was)
		h.release()
	}
	noneLeft(t, p, before)
}

// A guest may begin anywhere in the stub's text, with registers that suit it.
func TestJumpAtRandom(t *testing.T) {
	p := newTestPlatform(t).(*Platform)
	defer p.Release()
	defer neighbours(t, p)()
	before := processes(t, p)
	texts := stubAddresses()
	values := []uint64{
		0, 1, 2, 3, 7, 16, 4096, regionSize, testCode, testData, testData + 0x8000, 0x300000, stubText, stubRegions,
		stubRegions + regionSize, stubRegions + arch.PageSize, stubWindow - freeLen, taskSize - 4096, ^uint64(0),
		unix.MAP_SHARED | unix.MAP_FIXED, forkFlags, threadFlags, 1 << 32, 1<<63 | 4096,
	}
	calls := []uint64{
		unix.SYS_MMAP, unix.SYS_MUNMAP, unix.SYS_MPROTECT, unix.SYS_MREMAP, unix.SYS_CLONE, unix.SYS_FUTEX, unix.SYS_RT_SIGRETURN,
		unix.SYS_EXIT, unix.SYS_SCHED_YIELD, unix.SYS_EXECVE, unix.SYS_CLOSE, unix.SYS_DUP2, unix.SYS_SIGALTSTACK,
	}
	d, long := platformtest.Long(t)
	end := time.Now().Add(d)
	seed := rand.Uint64()
	t.Logf("seed %#x", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	code := testFileWith(t, 0xff, 0xe5) // jmp *%rbp
	for i := 0; i < 200 && !testing.Short() || i < 50 || long && time.Now().Before(end); i++ {
		any := func() uint64 { return values[r.IntN(len(values))] }
		var words []byte
		for range 40 {
			words = append(words, operations(stub.Call{Nr: calls[r.IntN(len(calls))], Args: [6]uint64{any(), any(), any(), any(), any(), any()}})...)
		}
		data := testFileWith(t)
		_, _ = unix.Pwrite(data.fd, words, 0)
		h := newHostile(t, p, code, data)
		h.regs.RBP = 8
		was := h.begin()
		regs := arch.Regs{
			RIP: testCode, RFLAGS: 0x202, RSP: testData + 8*uint64(r.IntN(100)), RBP: texts[r.IntN(len(texts))], RAX: calls[r.IntN(len(calls))],
			RBX: any(), RCX: any(), RDX: any(), RDI: any(), RSI: any(), R8: any(), R9: any(), R10: any(),
			R12: testData + 64*uint64(r.IntN(30)), R13: any(), R14: any() & 15, FSBase: any() & 0xffffffff, GSBase: any() & 0xffffffff,
		}
		h.regs = regs
		h.run(3)
		h.unharmed(fmt.Sprintf("%+v", regs), was)
		h.release()
	}
	noneLeft(t, p, before)
}

// Stubs may wait for words and wake who waits: also the sentry, which waits on a
// thread's context page. To be woken for nothing, or to wait somewhere else, must
// lose it no event. A guest that makes its own stub wait somewhere else has to be
// killed, which must be possible.
func TestFutexMisuse(t *testing.T) {
	p := newTestPlatform(t).(*Platform)
	defer p.Release()
	defer neighbours(t, p)()
	loop := textAt(t, 0x49, 0x8b, 0x04, 0x24) // mov (%r12),%rax
	const (
		state                            = stubRegions // of the first thread
		wake, requeue, lockPI, requeuePI = 1, 3, 6, 12
		elsewhere                        = testData + 0x9000
	)
	call := func(args ...uint64) stub.Call {
		c := stub.Call{Nr: unix.SYS_FUTEX}
		copy(c.Args[:], args)
		return c
	}
	for name, c := range map[string]stub.Call{
		"wake":           call(state, wake, 1000),
		"move away":      call(state, requeue, 0, 1000, elsewhere),
		"move nearby":    call(state, requeue, 0, 1000, state+128),
		"lock":           call(state+128, lockPI),
		"move to a lock": call(state, requeuePI, 1, 1000, elsewhere),
	} {
		t.Run(name, func(t *testing.T) {
			var list []byte
			for range 0x10000 / 64 {
				list = append(list, operations(c)...)
			}
			// mov $100000,%ecx; dec %ecx; jne to it; syscall; jmp to the start; jmp *%rbp
			code := testFileWith(t, 0xb9, 0xa0, 0x86, 1, 0, 0xff, 0xc9, 0x75, 0xfc, 0x0f, 0x05, 0xeb, 0xf3, 0xff, 0xe5)
			h := newHostile(t, p, code, testFileWith(t, list...))
			defer h.release()
			was := h.begin()
			regs := h.regs
			regs.RIP, regs.RBP, regs.R12, regs.R13, regs.R14, regs.RBX = testCode+13, loop, testData, 0, 1<<20, testData+0x8000
			stop := h.accomplice(regs)
			defer stop()
			moves := strings.HasPrefix(name, "move")
			if pid := h.pid(); moves {
				end := time.AfterFunc(time.Second, func() { _ = unix.Kill(pid, unix.SIGKILL) })
				defer end.Stop()
			}
			for n := range uint64(100) {
				h.regs.RBX = n
				ev, err := h.c.Switch(h.s, &h.regs)
				if moves && errors.Is(err, errKilled) {
					return
				}
				if err != nil || ev.Kind != platform.Syscall || h.regs.RBX != n {
					t.Fatalf("call %d: %+v, %v", n, ev, err)
				}
			}
			if f, err := footprintOf(h.pid()); err != nil || f.fds != was.fds {
				t.Errorf("%v: %+v, was %+v", err, f, was)
			}
		})
	}
}
