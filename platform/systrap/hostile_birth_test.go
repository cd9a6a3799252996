package systrap

import (
	"math/rand/v2"
	"testing"

	"garrison/platform"
)

// While a thread forks and makes threads, another writes to what it is told: no
// newborn becomes anything but what the sentry has asked for, none is left over,
// and nobody else waits.
func TestScribbledBirth(t *testing.T) {
	p := newTestPlatform(t).(*Platform)
	defer p.Release()
	p.patience = 2
	stop := neighbours(t, p)
	before := processes(t, p)
	// The first thread: syscall; jmp back. The other: mov %rax,(%rdi); jmp back.
	code := testFileWith(t, 0x0f, 0x05, 0xeb, 0xfc, 0x48, 0x89, 0x07, 0xeb, 0xfb)
	rnd := rand.New(rand.NewPCG(1, 2))
	survived := 0
	for i := range 60 {
		h := newHostile(t, p, code, testFileWith(t))
		h.begin()
		regs := h.regs
		regs.RIP = testCode + 4
		// One of the fields from FS to the clone's last argument.
		regs.RDI = stubRegions + 192 + 8*uint64(rnd.IntN(16))
		regs.RAX = []uint64{0, 1, stubRegions, stubRegions + regionSize, rnd.Uint64()}[i%5]
		quit := h.accomplice(regs)
		for range 10 {
			if _, err := h.c.Switch(h.s, &h.regs); err != nil {
				break
			}
			as, err := h.s.Fork(h.c)
			if err != nil {
				break
			}
			as.Release()
			survived++
		}
		quit()
		h.release()
	}
	if survived == 0 {
		t.Error("no fork went well: nothing was tried")
	}
	stop()
	noneLeft(t, p, before)
	p.mother.mu.Lock() // no spare stub is being made
	defer p.mother.mu.Unlock()
	p.verifier.mu.Lock()
	defer p.verifier.mu.Unlock()
	if len(p.verifier.births) > 0 {
		t.Errorf("%d births are under way", len(p.verifier.births))
	}
}

// A guest that makes the clone it was told to make itself, with single-stepping
// on, has a newborn that is interrupted before its first call.
func TestSteppedBirth(t *testing.T) {
	p := newTestPlatform(t).(*Platform)
	defer p.Release()
	before := processes(t, p)
	for _, at := range []uint64{p.verifier.sites.clone, p.verifier.sites.region} {
		h := newHostile(t, p, testFileWith(t, 0x0f, 0x05), testFileWith(t))
		h.begin()
		r, err := p.regions.get(0)
		if err != nil {
			t.Fatal(err)
		}
		n := &thread{p: p, region: r}
		h.c.thread.copyFrame(n)
		b := p.verifier.expect(n)
		call := b.clone(forkFlags)
		if at == p.verifier.sites.region {
			call = b.first() // its own, which only an unknown thread may make
		}
		h.c.thread.arm([]armed{{call: call}})
		a := call.Args
		h.regs.RIP, h.regs.RAX = at-2, call.Nr
		h.regs.RDI, h.regs.RSI, h.regs.RDX, h.regs.R10, h.regs.R8, h.regs.R9 = a[0], a[1], a[2], a[3], a[4], a[5]
		h.c.Step(true)
		if ev, err := h.c.Switch(h.s, &h.regs); err == nil {
			t.Errorf("%v at %#x: %+v", call, at, ev)
		}
		if n.begun() {
			t.Errorf("%v at %#x: a thread has begun", call, at)
		}
		p.verifier.settle(b)
		h.release()
	}
	p.verifier.reapLost()
	noneLeft(t, p, before)
}

// A stub that never does what it was told to is ended.
func TestStubThatDoesNotAnswer(t *testing.T) {
	p := newTestPlatform(t).(*Platform)
	defer p.Release()
	p.patience = 2
	defer neighbours(t, p)()
	// It says itself that there is an event, and goes on: mov %eax,(%rdi); jmp .
	code := testFileWith(t, 0x0f, 0x05, 0x89, 0x07, 0xeb, 0xfe)
	for _, fork := range []bool{true, false} {
		h := newHostile(t, p, code, testFileWith(t))
		h.begin()
		h.regs.RIP, h.regs.RDI, h.regs.RAX = testCode+2, stubRegions, stateEvent
		if ev, err := h.c.Switch(h.s, &h.regs); err != nil || ev.Kind == platform.Interrupted {
			t.Fatalf("%+v, %v", ev, err)
		}
		if fork {
			if _, err := h.s.Fork(h.c); err == nil {
				t.Error("it has forked")
			}
		} else {
			h.s.Map(0x300000, testFileWith(t), 0, 4096, 0)
			_ = h.s.Barrier(h.c)
		}
		if h.pid() != 0 {
			t.Error("its process lives on")
		}
		h.release()
	}
}
