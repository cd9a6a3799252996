package platformtest

import (
	"encoding/binary"
	"testing"

	"golang.org/x/sys/unix"

	"garrison/platform"
	"garrison/platform/arch"
)

var memoryTests = []suiteTest{
	{"MapOrder", testMapOrder},
	{"Prefault", testPrefault},
	{"MapEdges", testMapEdges},
	{"ManyMaps", testManyMaps},
	{"ManyFiles", testManyFiles},
	{"Overmap", testOvermap},
	{"Protect", testProtect},
	{"BarrierOfCaller", testBarrierOfCaller},
	{"BarrierWhileRunning", testBarrierWhileRunning},
	{"BarrierKeepsFiles", testBarrierKeepsFiles},
}

// codeRead reads the byte at RDI into RAX, for ever.
var codeRead = []byte{
	0x48, 0x0f, 0xb6, 0x07, // movzbq (%rdi),%rax
	0x0f, 0x05, // syscall
	0xeb, 0xf8, // jmp to the start
}

// codeWrite writes AL to RDI, for ever.
var codeWrite = []byte{
	0x88, 0x07, // mov %al,(%rdi)
	0x0f, 0x05, // syscall
	0xeb, 0xfa, // jmp to the start
}

func word(b []byte, off int) uint64 { return binary.LittleEndian.Uint64(b[off:]) }

// read runs codeRead for the byte at addr.
func (g *guest) read(addr arch.Addr) byte {
	g.t.Helper()
	g.regs = startRegs()
	g.regs.RDI = uint64(addr)
	g.syscall()
	return byte(g.regs.OrigRAX)
}

// absent runs codeRead for addr, where nothing must be.
func (g *guest) absent(addr arch.Addr) {
	g.t.Helper()
	g.regs = startRegs()
	g.regs.RDI = uint64(addr)
	g.fault(addr, unix.SIGSEGV, segvMapErr)
}

func pages(at arch.Addr, n int) arch.Range {
	return arch.Range{Start: at, End: at + arch.Addr(n)*arch.PageSize}
}

func testMapOrder(t *testing.T, p platform.Platform) {
	g := newGuest(t, p, codeRead...)
	defer g.release()
	for i := range 8 {
		g.mem.view[spareOff+i*arch.PageSize] = byte(i + 1)
	}
	all := arch.Read
	g.as.Map(spareAt, g.mem, spareOff, 4*arch.PageSize, all)
	g.as.Unmap(pages(spareAt+arch.PageSize, 1))
	g.as.Map(spareAt+2*arch.PageSize, g.mem, spareOff+6*arch.PageSize, arch.PageSize, all)
	if v := g.read(spareAt); v != 1 {
		t.Errorf("page 0 shows %d", v)
	}
	g.absent(spareAt + arch.PageSize)
	if v := g.read(spareAt + 2*arch.PageSize); v != 7 {
		t.Errorf("page 2 shows %d", v)
	}
	if v := g.read(spareAt + 3*arch.PageSize); v != 4 {
		t.Errorf("page 3 shows %d", v)
	}
	g.as.Unmap(pages(spareAt, 4))
	g.as.Map(spareAt+arch.PageSize, g.mem, spareOff, arch.PageSize, all)
	g.absent(spareAt)
	if v := g.read(spareAt + arch.PageSize); v != 1 {
		t.Errorf("page 1 shows %d", v)
	}
	g.as.Unmap(arch.Range{Start: spareAt, End: spareAt}) // nothing
	g.as.Unmap(pages(spareAt+100*arch.PageSize, 3))      // nothing there
	g.absent(spareAt + 2*arch.PageSize)
}

// What was prefaulted is in the page table of the guest's process, which has not
// touched it; what is unmapped after that in the same breath is not.
func testPrefault(t *testing.T, p platform.Platform) {
	g := newGuest(t, p, codeRead...)
	defer g.release()
	pre, ok := g.as.(platform.Prefaulter)
	if !ok {
		return // it need not
	}
	const n = 40
	at := arch.Addr(spareAt + 0x5553000) // no other test's process has anything there
	for i := range n {
		g.mem.view[spareOff+i*arch.PageSize] = byte(i + 1)
	}
	g.as.Map(at, g.mem, spareOff, n*arch.PageSize, arch.Read|arch.Write)
	pre.Prefault(pages(at, n))
	g.as.Unmap(pages(at+n/2*arch.PageSize, 1))
	if v := g.read(at); v != 1 {
		t.Errorf("page 0 shows %d", v)
	}
	present := presentPages(t, at, n)
	for i, p := range present {
		if p != (i != n/2) {
			t.Errorf("page %d of %d present: %v", i, n, p)
		}
	}
	g.absent(at + n/2*arch.PageSize)
}

// The whole of every range that Facts promises can be mapped.
func testMapEdges(t *testing.T, p platform.Platform) {
	g := newGuest(t, p, codeRead...)
	defer g.release()
	g.mem.view[spareOff] = 42
	for _, r := range p.Facts().User {
		for _, at := range []arch.Addr{r.Start, r.End - arch.PageSize} {
			g.as.Map(at, g.mem, spareOff, arch.PageSize, arch.Read)
			if v := g.read(at); v != 42 {
				t.Errorf("at %#x: %d", at, v)
			}
			g.as.Unmap(pages(at, 1))
			g.absent(at)
		}
	}
}

func testManyMaps(t *testing.T, p platform.Platform) {
	g := newGuest(t, p, codeRead...)
	defer g.release()
	const n = 1000
	for i := range n {
		g.mem.view[spareOff+i*arch.PageSize] = byte(i)
	}
	// Every other page, so that the host can merge none.
	for i := range n {
		g.as.Map(spareAt+arch.Addr(2*i)*arch.PageSize, g.mem, spareOff+uint64(i)*arch.PageSize, arch.PageSize, arch.Read)
	}
	for i := range n {
		if v := g.read(spareAt + arch.Addr(2*i)*arch.PageSize); v != byte(i) {
			t.Fatalf("page %d shows %d", i, v)
		}
	}
	g.absent(spareAt + arch.PageSize)
	for i := range n {
		g.as.Unmap(pages(spareAt+arch.Addr(2*i)*arch.PageSize, 1))
	}
	g.absent(spareAt)
	g.absent(spareAt + 2*(n-1)*arch.PageSize)
}

func testManyFiles(t *testing.T, p platform.Platform) {
	g := newGuest(t, p, codeRead...)
	defer g.release()
	const n = 50
	var files [n]*memory
	for i := range files {
		files[i] = newMemory(t)
		files[i].view[0] = byte(i)
		g.as.Map(spareAt+arch.Addr(i)*arch.PageSize, files[i], 0, arch.PageSize, arch.Read)
	}
	for round := range 3 {
		for i := range files {
			if v := g.read(spareAt + arch.Addr(i)*arch.PageSize); v != byte(i) {
				t.Fatalf("round %d: file %d shows %d", round, i, v)
			}
		}
		for i := range files {
			g.as.Map(spareAt+arch.Addr(i)*arch.PageSize, files[i], 0, arch.PageSize, arch.Read)
			if i%7 == 0 {
				g.read(codeAt)
			}
		}
	}
	// The copies of a forked space are as good.
	child := g.fork()
	defer child.release()
	for i := range files {
		child.as.Map(spareAt+arch.Addr(n-1-i)*arch.PageSize, files[i], 0, arch.PageSize, arch.Read)
	}
	for i := range files {
		if v := child.read(spareAt + arch.Addr(n-1-i)*arch.PageSize); v != byte(i) {
			t.Fatalf("child: file %d shows %d", i, v)
		}
	}
	if v := g.read(spareAt); v != 0 {
		t.Fatalf("parent: file 0 shows %d", v)
	}
}

func testOvermap(t *testing.T, p platform.Platform) {
	g := newGuest(t, p, codeRead...)
	defer g.release()
	g.mem.view[spareOff], g.mem.view[spareOff+arch.PageSize] = 1, 2
	for i := range 100 {
		g.as.Map(spareAt, g.mem, spareOff+uint64(i%2)*arch.PageSize, arch.PageSize, arch.Read)
		if i%3 != 0 {
			continue
		}
		if v := g.read(spareAt); int(v) != i%2+1 {
			t.Fatalf("round %d: %d", i, v)
		}
	}
}

func testProtect(t *testing.T, p platform.Platform) {
	g := newGuest(t, p, codeWrite...)
	defer g.release()
	write := func(at uint64) {
		g.regs = startRegs()
		g.regs.RDI, g.regs.RAX = at, 9
	}
	write(dataAt)
	g.syscall()
	g.as.Protect(pages(dataAt, 1), arch.Read)
	write(dataAt)
	g.fault(dataAt, unix.SIGSEGV, segvAccErr)
	write(dataAt + arch.PageSize)
	g.syscall()
	g.as.Protect(pages(dataAt, 1), arch.Read|arch.Write)
	g.as.Protect(pages(dataAt+arch.PageSize, 1), arch.NoAccess)
	write(dataAt)
	g.syscall()
	write(dataAt + arch.PageSize)
	g.fault(dataAt+arch.PageSize, unix.SIGSEGV, segvAccErr)
}

func testBarrierOfCaller(t *testing.T, p platform.Platform) {
	g := newGuest(t, p, codeRead...)
	defer g.release()
	if err := g.as.Barrier(nil); err != nil { // before anything runs
		t.Fatal(err)
	}
	g.read(dataAt)
	g.as.Unmap(pages(dataAt, 1))
	if err := g.as.Barrier(g.c); err != nil {
		t.Fatal(err)
	}
	g.absent(dataAt)
	if err := g.as.Barrier(nil); err != nil { // with nothing queued
		t.Fatal(err)
	}
}

// A Barrier must not wait for a thread to leave the guest by itself.
func testBarrierWhileRunning(t *testing.T, p platform.Platform) {
	g := newGuest(t, p,
		0x8a, 0x07, // mov (%rdi),%al
		0xc6, 0x06, 0x01, // movb $1,(%rsi)
		0xeb, 0xf9) // jmp to the start
	defer g.release()
	g.as.Map(spareAt, g.mem, spareOff, arch.PageSize, arch.Read)
	g.regs.RDI, g.regs.RSI = spareAt, dataAt
	wait := elsewhere(func() {
		defer g.c.Release()
		g.fault(spareAt, unix.SIGSEGV, segvMapErr)
	})
	awaitByte(t, g.data(), 0, 1)
	g.as.Unmap(pages(spareAt, 1))
	if err := g.as.Barrier(nil); err != nil {
		t.Error(err)
	}
	wait()
}

// After a Barrier the descriptor of what was mapped may be closed.
func testBarrierKeepsFiles(t *testing.T, p platform.Platform) {
	g := newGuest(t, p, codeRead...)
	defer g.release()
	fd, err := unix.FcntlInt(uintptr(g.mem.fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	g.mem.view[spareOff] = 5
	g.as.Map(spareAt, &memory{fd: fd}, spareOff, arch.PageSize, arch.Read)
	if err := g.as.Barrier(nil); err != nil {
		t.Fatal(err)
	}
	unix.Close(fd)
	if v := g.read(spareAt); v != 5 {
		t.Fatalf("shows %d", v)
	}
}
