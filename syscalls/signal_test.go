package syscalls_test

import (
	"strings"
	"sync/atomic"
	"testing"

	"garrison/platform/arch"
	"garrison/sentry/linux"
	"garrison/sentry/usermem"
	"garrison/syscalls"
	"garrison/test/scripted"
)

func TestHandlerRunsAndReturns(t *testing.T) {
	runs(t, func(g *scripted.Guest) {
		hits := 0
		g.Handle(linux.SIGUSR1, 0, 0, func(g *scripted.Guest) {
			hits++
			want(t, "si_signo", g.Info.Signal(), linux.SIGUSR1)
			want(t, "si_code", g.Info.Code, linux.SI_USER)
			want(t, "si_pid", g.Info.Pid(), 1)
			want(t, "mask in the frame", g.Context.SigMask, 0)
		})
		want(t, "kill", g.Call(sysKill, 1, uint64(linux.SIGUSR1)), 0)
		want(t, "hits", hits, 1)
	})
}

func TestHandlersNestAsTheirMasksAllow(t *testing.T) {
	runs(t, func(g *scripted.Guest) {
		var order []string
		g.Handle(linux.SIGUSR2, 0, 0, func(g *scripted.Guest) { order = append(order, "2") })
		g.Handle(linux.SIGUSR1, 0, linux.SigSetOf(linux.SIGUSR2), func(g *scripted.Guest) {
			order = append(order, "1a")
			if len(order) == 1 {
				g.Call(sysKill, 1, uint64(linux.SIGUSR2))
				g.Call(sysKill, 1, uint64(linux.SIGUSR1))
			}
			order = append(order, "1b")
		})
		g.Call(sysTkill, 1, uint64(linux.SIGUSR1))
		// The first handler blocks both. When it returns, SIGUSR1 (the lower number)
		// comes first, and then SIGUSR2.
		want(t, "order", strings.Join(order, " "), "1a 1b 1a 1b 2")
	})
}

func TestRestart(t *testing.T) {
	runs(t, func(g *scripted.Guest) {
		for _, flags := range []linux.SigActionFlags{0, linux.SA_RESTART} {
			var ran atomic.Int32
			g.Handle(linux.SIGALRM, flags, 0, func(*scripted.Guest) { ran.Add(1) })
			me := g.Call(sysGetpid)
			child := g.Fork(func(g *scripted.Guest) {
				ms(g, 10)
				g.Call(sysKill, uint64(me), uint64(linux.SIGALRM))
				for ran.Load() == 0 { // lives until the wait has been interrupted
					ms(g, 1)
				}
				g.Call(sysExitGroup, 0)
			})
			r, _ := wait4(g, child, 0)
			if flags == 0 {
				want(t, "wait4 without SA_RESTART", r, errno(linux.EINTR))
				r, _ = wait4(g, child, 0)
			}
			want(t, "wait4", r, child)
			want(t, "handlers", ran.Load(), 1)
		}
	})
}

func TestSleepGoesOnAfterStop(t *testing.T) {
	runs(t, func(g *scripted.Guest) {
		child := g.Fork(func(g *scripted.Guest) {
			ms(g, 60)
			g.Call(sysExitGroup, 0)
		})
		ms(g, 5)
		g.Call(sysKill, uint64(child), uint64(linux.SIGSTOP))
		wait4(g, child, linux.WUNTRACED)
		g.Call(sysKill, uint64(child), uint64(linux.SIGCONT))
		_, st := wait4(g, child, 0)
		want(t, "status", st, 0)
	})
}

func TestInterruptsComputation(t *testing.T) {
	runs(t, func(g *scripted.Guest) {
		var hit atomic.Bool
		g.Handle(linux.SIGUSR1, 0, 0, func(*scripted.Guest) { hit.Store(true) })
		me := g.Call(sysGetpid)
		g.Fork(func(g *scripted.Guest) {
			ms(g, 5)
			g.Call(sysKill, uint64(me), uint64(linux.SIGUSR1))
			g.Call(sysExitGroup, 0)
		})
		g.Spin(hit.Load)
		wait4(g, -1, 0)
	})
}

func TestSigsuspend(t *testing.T) {
	runs(t, func(g *scripted.Guest) {
		mask := func(how uint64, s linux.SigSet) {
			g.Call(sysSigprocmask, how, g.Put(usermem.AsBytes(&s)), 0, 8)
		}
		mask(linux.SIG_BLOCK, linux.SigSetOf(linux.SIGUSR1, linux.SIGUSR2))
		hits := 0
		g.Handle(linux.SIGUSR1, 0, 0, func(g *scripted.Guest) {
			hits++
			want(t, "mask to be restored", g.Context.SigMask, linux.SigSetOf(linux.SIGUSR1, linux.SIGUSR2))
		})
		g.Call(sysKill, 1, uint64(linux.SIGUSR1))
		want(t, "blocked", hits, 0)
		s := linux.SigSetOf(linux.SIGUSR2)
		want(t, "rt_sigsuspend", g.Call(sysSigsuspend, g.Put(usermem.AsBytes(&s)), 8), errno(linux.EINTR))
		want(t, "hits", hits, 1)
		at := g.Alloc(8)
		g.Call(sysSigprocmask, 0, 0, uint64(at), 8)
		want(t, "mask after", linux.SigSet(g.Load32(at)), linux.SigSetOf(linux.SIGUSR1, linux.SIGUSR2))
	})
}

func TestRealTimeSignalsQueueInOrder(t *testing.T) {
	runs(t, func(g *scripted.Guest) {
		set := linux.SigSetOf(linux.SIGRTMIN+1, linux.SIGRTMIN+2, linux.SIGUSR1)
		g.Call(sysSigprocmask, linux.SIG_BLOCK, g.Put(usermem.AsBytes(&set)), 0, 8)
		send := func(s linux.Signal, v uint64) {
			info := linux.SigInfo{Code: linux.SI_QUEUE}
			info.SetValue(v)
			want(t, "rt_sigqueueinfo", g.Call(sysSigqueueinfo, 1, uint64(s), g.Put(usermem.AsBytes(&info))), 0)
		}
		send(linux.SIGRTMIN+2, 20)
		send(linux.SIGRTMIN+1, 10)
		send(linux.SIGRTMIN+1, 11)
		send(linux.SIGUSR1, 1)
		send(linux.SIGUSR1, 2) // a standard signal pends once
		at := g.Alloc(128)
		for _, exp := range []struct {
			s linux.Signal
			v uint64
		}{{linux.SIGUSR1, 1}, {linux.SIGRTMIN + 1, 10}, {linux.SIGRTMIN + 1, 11}, {linux.SIGRTMIN + 2, 20}} {
			r := g.Call(sysSigtimedwait, g.Put(usermem.AsBytes(&set)), uint64(at), 0, 8)
			want(t, "rt_sigtimedwait", r, int64(exp.s))
			var info linux.SigInfo
			g.Load(at, usermem.AsBytes(&info))
			want(t, "value", info.Value(), exp.v)
		}
		zero := g.Put(make([]byte, 16))
		want(t, "nothing left", g.Call(sysSigtimedwait, g.Put(usermem.AsBytes(&set)), 0, zero, 8), errno(linux.EAGAIN))
	})
}

func TestFaultsReachTheirHandler(t *testing.T) {
	runs(t, func(g *scripted.Guest) {
		hits := 0
		g.Handle(linux.SIGSEGV, 0, 0, func(g *scripted.Guest) {
			hits++
			want(t, "si_addr", g.Info.Addr(), 0x123000)
			want(t, "si_code", g.Info.Code, linux.SEGV_MAPERR)
			want(t, "cr2", g.Context.MContext.CR2, 0x123000)
			want(t, "trap number", g.Context.MContext.TrapNo, 14)
		})
		g.Fault(0x123000)
		want(t, "hits", hits, 1)
	})
}

func TestFatalSignals(t *testing.T) {
	runs(t, func(g *scripted.Guest) {
		for _, f := range []struct {
			do  func(g *scripted.Guest)
			end linux.Signal
		}{
			{func(g *scripted.Guest) { g.Fault(0x123000) }, linux.SIGSEGV},
			{func(g *scripted.Guest) { // a blocked fault kills all the same
				s := linux.SigSetOf(linux.SIGSEGV)
				g.Call(sysSigprocmask, linux.SIG_BLOCK, g.Put(usermem.AsBytes(&s)), 0, 8)
				g.Fault(0x123000)
			}, linux.SIGSEGV},
			{func(g *scripted.Guest) {
				g.Action(linux.SIGSEGV, linux.SigAction{Handler: linux.SIG_IGN})
				g.Fault(0x123000)
			}, linux.SIGSEGV},
			{func(g *scripted.Guest) { g.Call(sysKill, uint64(g.Call(sysGetpid)), uint64(linux.SIGKILL)) }, linux.SIGKILL},
			{func(g *scripted.Guest) { g.Call(sysKill, uint64(g.Call(sysGetpid)), uint64(linux.SIGRTMIN)) }, linux.SIGRTMIN},
		} {
			g.Fork(func(g *scripted.Guest) { f.do(g); g.Call(sysExitGroup, 0) })
			_, st := wait4(g, -1, 0)
			want(t, "status", st, linux.SignalStatus(f.end, false))
		}
	})
}

func TestInitIgnoresWhatItDoesNotCatch(t *testing.T) {
	runs(t, func(g *scripted.Guest) {
		for _, s := range []linux.Signal{linux.SIGTERM, linux.SIGKILL, linux.SIGSTOP, linux.SIGINT} {
			want(t, "kill", g.Call(sysKill, 1, uint64(s)), 0)
		}
	})
}

func TestAltStack(t *testing.T) {
	runs(t, func(g *scripted.Guest) {
		const size = 16 << 10
		base := g.Alloc(size)
		ss := linux.StackT{SP: uint64(base), Size: size}
		want(t, "sigaltstack", g.Call(sysSigaltstack, g.Put(usermem.AsBytes(&ss)), 0), 0)
		hits := 0
		g.Handle(linux.SIGUSR1, linux.SA_ONSTACK, 0, func(g *scripted.Guest) {
			hits++
			at := g.Alloc(24)
			want(t, "changed while in use", g.Call(sysSigaltstack, g.Put(usermem.AsBytes(&ss)), 0), errno(linux.EPERM))
			g.Call(sysSigaltstack, 0, uint64(at))
			want(t, "flags while in use", g.Load32(at+8), linux.SS_ONSTACK)
		})
		g.Call(sysKill, 1, uint64(linux.SIGUSR1))
		want(t, "hits", hits, 1)
		small := linux.StackT{SP: uint64(base), Size: 2048}
		g.Call(sysSigaltstack, g.Put(usermem.AsBytes(&small)), 0)
		g.Fork(func(g *scripted.Guest) {
			// How large a frame is depends on the processor; three never fit.
			again := func() { g.Call(sysTkill, uint64(g.Call(sysGettid)), uint64(linux.SIGUSR2)) }
			depth := 0
			g.Handle(linux.SIGUSR2, linux.SA_ONSTACK|linux.SA_NODEFER, 0, func(*scripted.Guest) {
				if depth++; depth < 3 {
					again()
				}
			})
			again()
		})
		_, st := wait4(g, -1, 0)
		want(t, "frames too large for the stack", st, linux.SignalStatus(linux.SIGSEGV, false))
	})
}

func TestFutexWakesAsManyAsAsked(t *testing.T) {
	runs(t, func(g *scripted.Guest) {
		a := g.Alloc(16)
		var woken atomic.Int32
		for range 6 {
			g.Clone(thread, func(g *scripted.Guest) {
				g.Call(sysFutex, uint64(a), linux.FUTEX_WAIT|linux.FUTEX_PRIVATE_FLAG, 0)
				woken.Add(1)
				g.Call(sysExit, 0)
			})
		}
		n := int64(0)
		for n < 4 {
			n += g.Call(sysFutex, uint64(a), linux.FUTEX_WAKE|linux.FUTEX_PRIVATE_FLAG, uint64(4-n))
			ms(g, 1)
		}
		for i := 0; i < 2000 && woken.Load() < 4; i++ {
			ms(g, 1)
		}
		ms(g, 5) // for more to wake, had they been told
		want(t, "woken", woken.Load(), 4)
		want(t, "a changed word", g.Call(sysFutex, uint64(a), linux.FUTEX_WAIT, 1), errno(linux.EAGAIN))
		want(t, "misaligned", g.Call(sysFutex, uint64(a)+1, linux.FUTEX_WAIT, 0), errno(linux.EINVAL))
		want(t, "time-out", g.Call(sysFutex, uint64(a), linux.FUTEX_WAIT, 0, g.Put(make([]byte, 16))), errno(linux.ETIMEDOUT))
	})
}

func TestClearTIDWakesJoiner(t *testing.T) {
	runs(t, func(g *scripted.Guest) {
		const setTIDAddress = 218
		a := g.Alloc(16)
		g.Store32(a, 77)
		g.Clone(thread, func(g *scripted.Guest) {
			g.Call(setTIDAddress, uint64(a))
			ms(g, 5)
			g.Call(sysExit, 0)
		})
		for g.Load32(a) == 77 {
			g.Call(sysFutex, uint64(a), linux.FUTEX_WAIT, 77)
		}
		want(t, "the word", g.Load32(a), 0)
	})
}

func TestRobustListMarksTheDead(t *testing.T) {
	runs(t, func(g *scripted.Guest) {
		const setRobustList = 273
		lock := g.Alloc(32) // an entry at +0, its word at +8
		g.Clone(thread, func(g *scripted.Guest) {
			g.Store32(lock+8, uint32(g.Call(sysGettid))|linux.FUTEX_WAITERS)
			head := g.Alloc(24)
			store64 := func(a arch.Addr, v uint64) { g.Store(a, usermem.AsBytes(&v)) }
			store64(head, uint64(lock))
			store64(head+8, 8)
			store64(lock, uint64(head))
			want(t, "set_robust_list", g.Call(setRobustList, uint64(head), 24), 0)
			ms(g, 5)
			g.Call(sysExit, 0)
		})
		for g.Load32(lock+8)&linux.FUTEX_OWNER_DIED == 0 {
			g.Call(sysFutex, uint64(lock)+8, linux.FUTEX_WAIT, uint64(g.Load32(lock+8)), 0)
		}
		want(t, "the word", g.Load32(lock+8), linux.FUTEX_OWNER_DIED|linux.FUTEX_WAITERS)
	})
}

func TestStoppedProcessKeepsSignalsForLater(t *testing.T) {
	runs(t, func(g *scripted.Guest) {
		child := g.Fork(func(g *scripted.Guest) { g.Call(sysPause) })
		g.Call(sysKill, uint64(child), uint64(linux.SIGSTOP))
		wait4(g, child, linux.WUNTRACED)
		g.Call(sysKill, uint64(child), uint64(linux.SIGTERM))
		ms(g, 5)
		r, _ := wait4(g, child, linux.WNOHANG)
		want(t, "still stopped", r, 0)
		g.Call(sysKill, uint64(child), uint64(linux.SIGCONT))
		_, st := wait4(g, child, 0)
		want(t, "status", st, linux.SignalStatus(linux.SIGTERM, false))
	})
}

func TestStopsAndContinuesInARow(t *testing.T) {
	runs(t, func(g *scripted.Guest) {
		child := g.Fork(func(g *scripted.Guest) {
			for range 3 {
				g.Clone(thread, func(g *scripted.Guest) { g.Spin(func() bool { return false }) })
			}
			g.Call(sysPause)
		})
		for range 200 {
			g.Call(sysKill, uint64(child), uint64(linux.SIGSTOP))
			g.Call(sysKill, uint64(child), uint64(linux.SIGCONT))
			g.Call(sysKill, uint64(child), uint64(linux.SIGSTOP))
			_, st := wait4(g, child, linux.WUNTRACED)
			want(t, "status", st, linux.StopStatus(linux.SIGSTOP))
			g.Call(sysKill, uint64(child), uint64(linux.SIGCONT))
		}
		g.Call(sysKill, uint64(child), uint64(linux.SIGKILL))
		wait4(g, child, 0)
	})
}

func TestPosixTimerSignalsAndOverruns(t *testing.T) {
	runs(t, func(g *scripted.Guest) {
		const timerCreate, timerSettime, timerGetoverrun, timerDelete = 222, 223, 225, 226
		s := linux.SigSetOf(linux.SIGRTMIN + 3)
		g.Call(sysSigprocmask, linux.SIG_BLOCK, g.Put(usermem.AsBytes(&s)), 0, 8)
		ev := linux.Sigevent{Value: 99, Signo: int32(linux.SIGRTMIN + 3)}
		id := g.Alloc(4)
		want(t, "timer_create", g.Call(timerCreate, uint64(linux.CLOCK_MONOTONIC), g.Put(usermem.AsBytes(&ev)), uint64(id)), 0)
		n := uint64(g.Load32(id))
		it := linux.Itimerspec{Value: linux.Timespec{Nsec: 1e6}, Interval: linux.Timespec{Nsec: 1e6}}
		want(t, "timer_settime", g.Call(timerSettime, n, 0, g.Put(usermem.AsBytes(&it)), 0), 0)
		ms(g, 20)
		at := g.Alloc(128)
		want(t, "rt_sigtimedwait", g.Call(sysSigtimedwait, g.Put(usermem.AsBytes(&s)), uint64(at), 0, 8), int64(linux.SIGRTMIN+3))
		var info linux.SigInfo
		g.Load(at, usermem.AsBytes(&info))
		want(t, "si_code", info.Code, linux.SI_TIMER)
		want(t, "value", info.Value(), 99)
		if _, over := info.Timer(); over < 5 || int64(over) != g.Call(timerGetoverrun, n) {
			t.Error("overrun", over)
		}
		want(t, "timer_delete", g.Call(timerDelete, n), 0)
		want(t, "timer_delete again", g.Call(timerDelete, n), errno(linux.EINVAL))
	})
}

// FuzzSigreturn returns from signals that never were: whatever the frame says, the
// guest alone suffers.
func FuzzSigreturn(f *testing.F) {
	frame := linux.RTSigFrame{}
	frame.UC.MContext.RIP, frame.UC.MContext.RSP = 0x1234, 0x5678
	frame.UC.MContext.FPState = 64
	f.Add(usermem.AsBytes(&frame), uint16(0))
	f.Add([]byte{}, uint16(512))
	f.Fuzz(func(t *testing.T, b []byte, fp uint16) {
		w := scripted.New(t, &syscalls.Table, func(g *scripted.Guest) {
			g.Fork(func(g *scripted.Guest) { g.Sigreturn(b[:min(len(b), 4096)], uint64(fp)) })
			wait4(g, -1, linux.WALL)
		})
		if st := w.Run(); st != 0 {
			t.Errorf("status %#x", uint32(st))
		}
		w.Close()
	})
}
