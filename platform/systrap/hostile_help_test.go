package systrap

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"garrison/platform"
	"garrison/platform/arch"
	"garrison/platform/platformtest"
	"garrison/platform/script"
	"garrison/platform/stub"
)

// neighbours lets an honest guest of p run until the function it returns is
// called, which fails the test if it noticed anything, or did not get on.
func neighbours(t *testing.T, p *Platform) (stop func()) {
	t.Helper()
	data := testFileWith(t)
	h := newHostile(t, p, testFileWith(t, 0x48, 0xff, 0x07, 0x0f, 0x05, 0xeb, 0xf9), data) // incq (%rdi); syscall; jmp
	h.regs.RDI = testData
	var over atomic.Bool
	done := make(chan error)
	go func() {
		n, err := uint64(0), error(nil)
		for ; err == nil && !over.Load(); n++ {
			h.regs.RBX, h.regs.R12 = n, ^n
			ev, e := h.c.Switch(h.s, &h.regs)
			if e != nil || ev.Kind != platform.Syscall || h.regs.RBX != n || h.regs.R12 != ^n || h.regs.RIP != testCode+5 {
				err = fmt.Errorf("call %d: %+v, %v, %+v", n, ev, e, h.regs)
			}
			time.Sleep(100 * time.Microsecond)
		}
		var b [8]byte
		_, _ = unix.Pread(data.fd, b[:], 0)
		if got := binary.LittleEndian.Uint64(b[:]); err == nil && (got != n || n == 0) {
			err = fmt.Errorf("%d calls, counted as %d", n, got)
		}
		h.release()
		done <- err
	}()
	return func() {
		t.Helper()
		over.Store(true)
		if err := <-done; err != nil {
			t.Errorf("a neighbour: %v", err)
		}
	}
}

// A footprint is what a stub has that a guest must not get more of.
type footprint struct {
	maps string
	fds  string
}

var errEnding = errors.New("the process has ended")

// footprintOf returns the footprint of the process pid.
func footprintOf(pid int) (f footprint, err error) {
	dir := "/proc/" + strconv.Itoa(pid)
	maps, err := os.ReadFile(dir + "/maps")
	if err != nil || len(maps) == 0 {
		return f, errEnding
	}
	f.maps = string(maps)
	fds, err := os.ReadDir(dir + "/fd")
	if err != nil {
		return f, errEnding
	}
	for _, fd := range fds {
		link, _ := os.Readlink(dir + "/fd/" + fd.Name())
		f.fds += fd.Name() + " " + link + "\n"
	}
	// A process that ends gives its memory up before its descriptors.
	if maps, err := os.ReadFile(dir + "/maps"); err != nil || len(maps) == 0 {
		return f, errEnding
	}
	return f, nil
}

// more says what f has that was not there before: a mapping that is not part of
// one of the same file and rights, or that can do more than that, or a descriptor.
func (f footprint) more(before footprint) error {
	if f.fds != before.fds {
		return fmt.Errorf("descriptors\n%sbecame\n%s", before.fds, f.fds)
	}
	for line := range strings.Lines(f.maps) {
		known := false
		for old := range strings.Lines(before.maps) {
			known = known || within(line, old)
		}
		if !known {
			return fmt.Errorf("new: %sbefore:\n%s", line, before.maps)
		}
	}
	for line := range strings.Lines(before.maps) {
		var from uint64
		if _, err := fmt.Sscanf(line, "%x-", &from); err == nil && from >= stubWindow && !strings.Contains(f.maps, line) {
			return fmt.Errorf("gone: %safter:\n%s", line, f.maps)
		}
	}
	return nil
}

// within reports whether the mapping of line is part of that of old, and can't be
// written unless that could. To read and to execute what it has is no gain.
func within(line, old string) bool {
	a, ok := parseMapping(line)
	b, was := parseMapping(old)
	return ok && was && a.from >= b.from && a.to <= b.to && (b.writable || !a.writable) &&
		a.dev == b.dev && a.inode == b.inode && (a.inode == 0 || a.off-b.off == a.from-b.from)
}

// A mapping is a line of /proc/pid/maps.
type mapping struct {
	from, to, off, inode uint64
	writable             bool
	dev                  string
}

func parseMapping(line string) (m mapping, ok bool) {
	var rights string
	_, err := fmt.Sscanf(line, "%x-%x %s %x %s %d", &m.from, &m.to, &rights, &m.off, &m.dev, &m.inode)
	m.writable = strings.Contains(rights, "w")
	return m, err == nil
}

// pid is h's process, or 0 if it has ended as far as the sentry knows.
func (h *hostile) pid() int {
	h.s.mu.Lock()
	defer h.s.mu.Unlock()
	return h.s.pid
}

// unharmed fails the test if h's process has got anything since before.
func (h *hostile) unharmed(what string, before footprint) {
	h.t.Helper()
	pid := h.pid()
	if pid == 0 {
		return
	}
	now, err := footprintOf(pid)
	if err == nil {
		err = now.more(before)
	}
	if err != nil && err != errEnding {
		h.t.Errorf("%s: %v", what, err)
	}
}

// begin makes one call, so that there is a process, and returns its footprint.
func (h *hostile) begin() footprint {
	h.t.Helper()
	regs := h.regs
	if _, err := h.c.Switch(h.s, &regs); err != nil {
		h.t.Fatal(err)
	}
	f, err := footprintOf(h.pid())
	if err != nil {
		h.t.Fatal(err)
	}
	return f
}

// accomplice starts another thread of h at rip, which the function it returns
// stops.
func (h *hostile) accomplice(regs arch.Regs) (stop func()) {
	h.t.Helper()
	c, err := h.c.Spawn(h.s)
	if err != nil {
		h.t.Fatal(err)
	}
	var over atomic.Bool
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer c.Release()
		for r := regs; !over.Load(); r = regs {
			if _, err := c.Switch(h.s, &r); err != nil {
				return
			}
		}
	}()
	return func() {
		over.Store(true)
		c.Interrupt()
		<-done
	}
}

// multiply lets h have a second thread, for a moment.
func (h *hostile) multiply() {
	h.t.Helper()
	h.begin()
	c, err := h.c.Spawn(h.s)
	if err != nil {
		h.t.Fatal(err)
	}
	second := fmt.Sprintf("-%x rw", regionAddr(1)+stackEnd)
	for was := h.begin(); !strings.Contains(was.maps, second); was = h.begin() {
	}
	c.Release()
}

// processes is how many there are that serve somebody, or nobody knows of.
func processes(t *testing.T, p *Platform) int {
	p.mother.mu.Lock()
	defer p.mother.mu.Unlock()
	return len(platformtest.Children(t)) - len(p.mother.pool)
}

// noneLeft fails the test if p has processes beyond those in before, when all
// hostile guests are gone: the mother may have made a clean one more.
func noneLeft(t *testing.T, p *Platform, before int) {
	t.Helper()
	if after := processes(t, p); after > before+2 {
		t.Errorf("%d child processes became %d", before, after)
	}
}

// textAt is the address of the first instruction in the stub's text that begins
// with code.
func textAt(t *testing.T, code ...byte) uint64 {
	t.Helper()
	i := bytes.Index(script.Text(stubAddress()), code)
	if i < 0 {
		t.Fatalf("the stub's text has no % x", code)
	}
	return stubText + uint64(i)
}

// stubAddresses are all bytes of the stub's text but for the gate's.
func stubAddresses() (all []uint64) {
	for at, address := range map[uint64]uintptr{
		stubText: stubAddress(), stubBack: backAddress(), stubThreads: threadsAddress(), stubSolo: soloAddress(),
	} {
		for i := range script.Text(address) {
			all = append(all, at+uint64(i))
		}
	}
	return all
}

// operations is the memory of a context page's operations, as the stub reads it.
func operations(calls ...stub.Call) (b []byte) {
	for _, c := range calls {
		for _, v := range append([]uint64{c.Nr}, c.Args[:]...) {
			b = binary.LittleEndian.AppendUint64(b, v)
		}
		b = append(b, make([]byte, 8)...)
	}
	return b
}
