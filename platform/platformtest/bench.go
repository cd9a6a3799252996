package platformtest

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"garrison/platform"
	"garrison/platform/arch"
	"garrison/platform/park"
)

// Benchmark measures what guests wait for.
func Benchmark(b *testing.B, newPlatform New) {
	for _, one := range []struct {
		name string
		run  func(b *testing.B, p platform.Platform)
	}{
		{"Syscall", benchSyscall},
		{"MapUnmap", benchMapUnmap},
		{"Map16", benchMap16},
		{"Fault", benchFault},
		{"Fork", benchFork},
		{"ForkBusy", benchForkBusy},
		{"Spawn", benchSpawn},
		{"Exec", benchExec},
		{"Interrupt", benchInterrupt},
		{"Compute2", benchCompute2},
		{"Busy2", benchBusy2},
		{"PingPong", benchPingPong},
		{"PingPongParked", benchPingPongParked},
	} {
		b.Run(one.name, func(b *testing.B) {
			p := newPlatform(b)
			defer p.Release()
			// Contexts lock their goroutine's thread.
			elsewhere(func() { one.run(b, p) })()
		})
	}
}

// benchSyscall is the round trip of a call that is answered at once.
func benchSyscall(b *testing.B, p platform.Platform) {
	g := newGuest(b, p, codeRead...)
	defer g.release()
	g.regs.RDI = dataAt
	for b.Loop() {
		if ev, err := g.c.Switch(g.as, &g.regs); err != nil || ev.Kind != platform.Syscall {
			b.Fatal(ev, err)
		}
	}
}

// benchMapUnmap is mmap and munmap of 64 KiB, two calls.
func benchMapUnmap(b *testing.B, p platform.Platform) {
	g := newGuest(b, p, codeRead...)
	defer g.release()
	g.regs.RDI = dataAt
	for b.Loop() {
		g.as.Map(spareAt, g.mem, spareOff, segment, arch.Read|arch.Write)
		g.syscall()
		g.as.Unmap(arch.Range{Start: spareAt, End: spareAt + segment})
		g.syscall()
	}
}

// benchMap16 is one call with 16 operations that can't be merged.
func benchMap16(b *testing.B, p platform.Platform) {
	g := newGuest(b, p, codeRead...)
	defer g.release()
	g.regs.RDI = dataAt
	for b.Loop() {
		for i := range arch.Addr(16) {
			g.as.Map(spareAt+2*i*arch.PageSize, g.mem, spareOff, arch.PageSize, arch.Read)
		}
		g.syscall()
	}
}

// benchFault is a fault on a missing page, its mapping, and the call after it.
func benchFault(b *testing.B, p platform.Platform) {
	g := newGuest(b, p, codeRead...)
	defer g.release()
	g.regs.RDI = spareAt
	for b.Loop() {
		g.run()
		g.as.Map(spareAt, g.mem, spareOff, arch.PageSize, arch.Read)
		g.syscall()
		g.as.Unmap(pages(spareAt, 1))
	}
}

// forkExit forks, runs the child for one call on a goroutine of its own, and
// waits for its end.
func forkExit(g *guest) {
	child := g.fork()
	elsewhere(func() {
		child.syscall()
		child.release()
	})()
	g.syscall()
}

// benchFork is the fork and exit of a small process.
func benchFork(b *testing.B, p platform.Platform) {
	g := newGuest(b, p, codeRead...)
	defer g.release()
	g.regs.RDI = dataAt
	g.syscall()
	for b.Loop() {
		forkExit(g)
	}
}

// benchForkBusy is the same with 100 mappings, 50 of which are protected.
func benchForkBusy(b *testing.B, p platform.Platform) {
	g := newGuest(b, p, codeRead...)
	defer g.release()
	g.regs.RDI = dataAt
	for i := range arch.Addr(100) {
		g.as.Map(spareAt+2*i*arch.PageSize, g.mem, spareOff+uint64(i)*arch.PageSize, arch.PageSize, arch.Read|arch.Write)
	}
	g.syscall()
	for b.Loop() {
		for i := range arch.Addr(50) {
			g.as.Protect(pages(spareAt+4*i*arch.PageSize, 1), arch.Read)
		}
		forkExit(g)
		for i := range arch.Addr(50) {
			g.as.Protect(pages(spareAt+4*i*arch.PageSize, 1), arch.Read|arch.Write)
		}
	}
}

// benchSpawn is the start and end of a thread.
func benchSpawn(b *testing.B, p platform.Platform) {
	g := newGuest(b, p, codeRead...)
	defer g.release()
	g.regs.RDI = dataAt
	g.syscall()
	for b.Loop() {
		h := g.spawn()
		h.regs.RDI = dataAt
		elsewhere(func() {
			h.syscall()
			h.c.Release()
		})()
		g.syscall()
	}
}

// benchExec is the change to a new address space with a small program.
func benchExec(b *testing.B, p platform.Platform) {
	g := newGuest(b, p, codeRead...)
	defer g.release()
	g.regs.RDI = dataAt
	g.syscall()
	for b.Loop() {
		old := g.as
		as, err := p.NewAddressSpace()
		if err != nil {
			b.Fatal(err)
		}
		g.as = as
		g.layout(as)
		g.syscall()
		old.Release()
	}
}

// benchInterrupt is the time from Interrupt to its report.
func benchInterrupt(b *testing.B, p platform.Platform) {
	g := newGuest(b, p, codeForever...)
	g.regs.RSI = dataAt
	back := make(chan bool)
	wait := elsewhere(func() {
		defer g.release()
		for {
			g.regs.RIP = codeAt
			g.run()
			if !<-back {
				return
			}
		}
	})
	for b.Loop() {
		awaitByte(b, g.data(), 0, 1)
		store8(g.data(), 0, 0)
		g.c.Interrupt()
		back <- true
	}
	g.c.Interrupt()
	back <- false
	wait()
}

// benchCompute2 is two threads that each compute for 50 ms; on two idle
// processors it takes little longer than one.
func benchCompute2(b *testing.B, p platform.Platform) {
	g := newGuest(b, p,
		0x48, 0xff, 0xc9, // dec %rcx
		0x75, 0xfb, // jne to the start
		0x0f, 0x05) // syscall
	defer g.release()
	g.regs.RCX = 1
	g.syscall()
	g.regs.RIP, g.regs.RCX = codeAt, 1e8
	start := time.Now()
	g.syscall()
	alone := time.Since(start)
	rounds := uint64(1e8 * 50 * time.Millisecond.Seconds() / alone.Seconds())
	h := g.spawn()
	turns := make(chan bool)
	wait := elsewhere(func() {
		for range turns {
			h.regs.RIP, h.regs.RCX = codeAt, rounds
			h.syscall()
			turns <- true
		}
		h.c.Release()
	})
	for b.Loop() {
		turns <- true
		g.regs.RIP, g.regs.RCX = codeAt, rounds
		g.syscall()
		<-turns
	}
	close(turns)
	wait()
}

// benchBusy2 is two threads that both do nothing but calls: on two idle
// processors a call takes no longer than for one alone.
func benchBusy2(b *testing.B, p platform.Platform) {
	g := newGuest(b, p, codeRead...)
	defer g.release()
	g.regs.RDI = dataAt
	g.syscall()
	h := g.spawn()
	h.regs.RDI = dataAt
	var stop atomic.Bool
	var calls int
	start := time.Now()
	end := elsewhere(func() {
		for !stop.Load() {
			h.syscall()
			calls++
		}
		h.c.Release()
	})
	for b.Loop() {
		g.syscall()
	}
	stop.Store(true)
	end()
	b.ReportMetric(float64(time.Since(start))/float64(calls), "ns/other")
}

// benchPingPong is two processes that wake each other in turn, as the two ends
// of a pipe do.
func benchPingPong(b *testing.B, p platform.Platform) {
	g := newGuest(b, p, codeRead...)
	defer g.release()
	g.regs.RDI = dataAt
	g.syscall()
	h := g.fork()
	there, back := make(chan bool), make(chan bool)
	var end sync.WaitGroup
	end.Add(1)
	elsewhere(func() {
		defer end.Done()
		for range there {
			h.syscall()
			back <- true
		}
		h.release()
	})
	for b.Loop() {
		there <- true
		<-back
		g.syscall()
	}
	close(there)
	end.Wait()
}

// benchPingPongParked is the same with park instead of channels.
func benchPingPongParked(b *testing.B, p platform.Platform) {
	g := newGuest(b, p, codeRead...)
	defer g.release()
	g.regs.RDI = dataAt
	g.syscall()
	h := g.fork()
	var there, back park.Spot
	stop := false
	end := elsewhere(func() {
		defer h.release()
		for {
			there.Sleep(-1)
			if stop {
				return
			}
			h.syscall()
			back.Wake()
		}
	})
	for b.Loop() {
		there.Wake()
		back.Sleep(-1)
		g.syscall()
	}
	stop = true
	there.Wake()
	end()
}
