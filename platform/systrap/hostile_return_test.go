package systrap

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"garrison/platform"
)

// looping is a byte of the guest's data.
const looping = testData + 0x7000

// returning is a guest, one that has had a second thread, that jumps to the
// stub's rt_sigreturn with a frame of its own at testData, which edit changes.
// What it returns to writes to looping, for ever.
func returning(t *testing.T, p *Platform, edit func(f *sigframe, at uint64)) (*hostile, *testFile) {
	data := testFileWith(t)
	h := newHostile(t, p, testFileWith(t, 0xff, 0xe5, 0xc6, 0x06, 0x01, 0xeb, 0xfb, 0x0f, 0x05), data) // jmp *%rbp; movb $1,(%rsi); jmp to it; syscall
	var frame [frameSize]byte
	const at = testData + 0x1000
	f := frameOf(frame[:])
	f.rip, f.rsp, f.rflags, f.segments = testCode+2, testData+0x8000, 0x202, 0x002b000000000033
	f.stack, f.stackSize, f.mask = stubRegions+contextSize, stackEnd-contextSize, ^uint64(openSignals)
	f.rsi = looping
	edit(f, at)
	if _, err := unix.Pwrite(data.fd, frame[:], at-testData); err != nil {
		t.Fatal(err)
	}
	h.regs.RIP = testCode + 7
	h.multiply()
	h.regs.RIP, h.regs.RBP, h.regs.RSP = testCode, stubThreads, at
	return h, data
}

// interruptLoop interrupts h when it has come to its loop.
func (h *hostile) interruptLoop(data *testFile) {
	for b := []byte{0}; b[0] == 0; time.Sleep(time.Millisecond) {
		if _, err := unix.Pread(data.fd, b, looping-testData); err != nil {
			return // the test is over
		}
	}
	h.c.Interrupt()
}

// A guest may return with a signal frame that no host has made.
func TestOwnFrames(t *testing.T) {
	p := newTestPlatform(t).(*Platform)
	defer p.Release()
	defer neighbours(t, p)()
	before := processes(t, p)
	edits := map[string]func(f *sigframe, at uint64){"honest": func(*sigframe, uint64) {}}
	for name, v := range map[string]uint64{
		"nowhere": 8, "misaligned": testData + 0x2001, "in its frame": testData + 0x1000, "at an end": testData + 65536 - 64,
		"in the region": stubRegions + 64, "behind the region": stubRegions + stackEnd - 64, "in the text": stubText, "of the host": 0xffff888000000000,
	} {
		edits["state "+name] = func(f *sigframe, _ uint64) { f.fpstate = v }
		edits["stack "+name] = func(f *sigframe, _ uint64) { f.stack = v }
		edits["target "+name] = func(f *sigframe, _ uint64) { f.rip = v }
		edits["stack pointer "+name] = func(f *sigframe, _ uint64) { f.rsp = v }
	}
	for name, v := range map[string]uint64{"none": 0, "32 bit": 0x002b000000000023, "of the host": 0x0018000000000010} {
		edits["segments "+name] = func(f *sigframe, _ uint64) { f.segments = v }
	}
	edits["flags"] = func(f *sigframe, _ uint64) { f.rflags = ^uint64(0) }
	edits["no alternate stack"] = func(f *sigframe, _ uint64) { f.stackFlag = 2 }
	edits["state with all features"] = func(f *sigframe, at uint64) { f.fpstate, f.flags = at+0x400, ^uint64(0) }
	for name, edit := range edits {
		t.Run(name, func(t *testing.T) {
			h, data := returning(t, p, edit)
			defer h.release()
			h.regs.RIP = testCode + 7
			was := h.begin()
			h.regs.RIP = testCode
			pid := h.pid()
			// Some don't come back.
			if name != "honest" {
				defer time.AfterFunc(100*time.Millisecond, func() { _ = unix.Kill(pid, unix.SIGKILL) }).Stop()
			}
			if name == "honest" {
				go h.interruptLoop(data)
			} else {
				defer time.AfterFunc(5*time.Millisecond, h.c.Interrupt).Stop()
			}
			for range 3 {
				ev, err := h.c.Switch(h.s, &h.regs)
				if name == "honest" && (err != nil || ev.Kind != platform.Interrupted || h.regs.RIP != testCode+2 && h.regs.RIP != testCode+5) {
					t.Errorf("%+v, %v, %+v", ev, err, h.regs)
				}
				if err != nil || ev.Kind == platform.Interrupted {
					break
				}
			}
			h.unharmed(name, was)
		})
	}
	noneLeft(t, p, before)
}

// A thread that has blocked the interrupt, or has its signals delivered where
// the sentry doesn't look, is ended with its process when it is interrupted. That
// takes a while, in which its neighbours go on.
func TestEvadedInterrupts(t *testing.T) {
	p := newTestPlatform(t).(*Platform)
	p.patience = 3
	defer p.Release()
	defer neighbours(t, p)()
	evasions := map[string]func(f *sigframe, at uint64){
		"blocked":             func(f *sigframe, _ uint64) { f.mask = 1 << (interruptSignal - 1) },
		"all blocked":         func(f *sigframe, _ uint64) { f.mask = ^uint64(0) },
		"delivered elsewhere": func(f *sigframe, _ uint64) { f.stack, f.stackSize = testData+0x8000, 0x8000 },
	}
	type result struct {
		name string
		ev   platform.Event
		err  error
	}
	results := make(chan result)
	for name, edit := range evasions {
		h, data := returning(t, p, edit)
		go func() {
			defer h.release()
			go h.interruptLoop(data)
			ev, err := h.c.Switch(h.s, &h.regs)
			results <- result{name, ev, err}
		}()
	}
	for range evasions {
		select {
		case r := <-results:
			if r.err == nil {
				t.Errorf("%s: %+v", r.name, r.ev)
			}
		case <-time.After(time.Minute):
			t.Fatal("a guest that evades interrupts goes on")
		}
	}
}
