package systrap

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"garrison/platform"
	"garrison/platform/arch"
)

// A forgery is a word of a context page and two values that another thread of
// the guest keeps writing there, in turn.
type forgery struct {
	off  uintptr
	a, b uint64
}

// forgeries are of all that the page says. Where a newborn's region is to be is
// left out.
func forgeries() (list []forgery) {
	var p page
	add := func(off uintptr, values ...uint64) {
		for i, a := range values {
			list = append(list, forgery{off, a, values[(i+1)%len(values)]})
		}
	}
	for a := range uint64(4) {
		for b := range a {
			list = append(list, forgery{unsafe.Offsetof(p.state), a, b})
		}
	}
	add(unsafe.Offsetof(p.sentryWaits), 0, 1)
	add(unsafe.Offsetof(p.stubWaits), 0, 1)
	add(unsafe.Offsetof(p.flags), 0, flagOps, flagReport, flagOps|flagReport, flagSegments, flagExit, flagClone, ^uint64(0))
	add(unsafe.Offsetof(p.frame), 0, stubRegions, stubRegions+arch.PageSize, stubRegions+stackEnd-8, testData, ^uint64(7))
	add(unsafe.Offsetof(p.ops), 0, 1, maxOps, 1<<31)
	add(unsafe.Offsetof(p.result), 0, 1, 1<<20, ^uint64(0), ^uint64(4094))
	add(unsafe.Offsetof(p.spins), 0, ^uint64(0))
	add(unsafe.Offsetof(p.op), 0, 11, 10, 9, 56, 24)
	add(unsafe.Offsetof(p.op)+8, 0, testCode, testData, 0x300000, stubText)
	return list
}

// forged lets another thread forge what the page of h's first thread says, until
// the function it returns is called.
func (h *hostile) forged(f forgery) (stop func()) {
	regs := h.regs
	regs.RIP, regs.RDI, regs.RAX, regs.RDX = testCode+4, stubRegions+uint64(f.off), f.a, f.b
	return h.accomplice(regs)
}

// codeForge makes system calls, or from 4 on writes EAX and EDX to RDI in turn.
var codeForge = []byte{
	0x0f, 0x05, // syscall
	0xeb, 0xfc, // jmp to it
	0x89, 0x07, // mov %eax,(%rdi)
	0xf3, 0x90, // pause
	0x89, 0x17, // mov %edx,(%rdi)
	0xeb, 0xf8, // jmp to the mov
}

// Whatever a guest claims on its page, while its kernel has it make calls, map,
// unmap and fork: it has what its kernel believes, or is known to have died.
func TestForgedPage(t *testing.T) {
	p := newTestPlatform(t).(*Platform)
	defer p.Release()
	defer neighbours(t, p)()
	before := processes(t, p)
	for _, f := range forgeries() {
		what := fmt.Sprintf("%d: %#x, %#x", f.off, f.a, f.b)
		data := testFileWith(t)
		h := newHostile(t, p, testFileWith(t, codeForge...), data)
		h.begin()
		pid := h.pid()
		stop := h.forged(f)
		second := fmt.Sprintf("-%x rw", regionAddr(1)+stackEnd)
		was, err := footprintOf(pid)
		for err == nil && !strings.Contains(was.maps, second) { // the new thread has been seen, and has mapped its region
			was, err = footprintOf(pid)
		}
		// A page forged while the region is being mapped may be the end of the guest at once.
		if err != nil && err != errEnding {
			t.Fatal(err)
		}
		time.Sleep(time.Millisecond)
		// A guest that keeps its own stub from going on is killed by its kernel.
		end := time.AfterFunc(100*time.Millisecond, func() { _ = unix.Kill(pid, unix.SIGKILL) })
		h.deceived(what, data, was)
		end.Stop()
		stop()
		h.release()
	}
	noneLeft(t, p, before)
}

// deceived uses h as its kernel does.
func (h *hostile) deceived(what string, data *testFile, was footprint) {
	h.t.Helper()
	for range 6 {
		if ev, err := h.c.Switch(h.s, &h.regs); err != nil || ev.Kind != platform.Syscall {
			return
		}
		h.s.Map(0x300000, data, 0, 8192, arch.Read)
		if h.s.Barrier(h.c) == nil {
			h.believed(what, "00300000-00302000", true)
		}
		h.s.Unmap(arch.Range{Start: 0x300000, End: 0x302000})
		if h.s.Barrier(h.c) == nil {
			h.believed(what, "00300000-", false)
			h.unharmed(what, was)
		}
	}
	if as, err := h.s.Fork(h.c); err == nil {
		as.Release()
	}
}

// believed fails the test if the space lives and the mapping is not there, or
// is, against what its kernel was told.
func (h *hostile) believed(what, mapping string, want bool) {
	h.t.Helper()
	pid := h.pid()
	if pid == 0 {
		return
	}
	maps, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/maps")
	if err == nil && len(maps) > 0 && h.pid() == pid && strings.Contains(string(maps), mapping) != want {
		h.t.Errorf("%s: believed mapped %v, and is not so:\n%s", what, want, maps)
	}
}
