package syscalls_test

import (
	"sync/atomic"
	"testing"
	"time"

	"garrison/sentry/linux"
	"garrison/syscalls"
	"garrison/test/scripted"
)

// Numbers of the system calls that tests make.
const (
	sysSigprocmask  = 14
	sysPause        = 34
	sysNanosleep    = 35
	sysGetpid       = 39
	sysExecve       = 59
	sysExit         = 60
	sysWait4        = 61
	sysKill         = 62
	sysSetpgid      = 109
	sysGetppid      = 110
	sysSetsid       = 112
	sysSigpending   = 127
	sysSigtimedwait = 128
	sysSigqueueinfo = 129
	sysSigsuspend   = 130
	sysSigaltstack  = 131
	sysPrctl        = 157
	sysGettid       = 186
	sysTkill        = 200
	sysFutex        = 202
	sysExitGroup    = 231
	sysWaitid       = 247
)

const thread = linux.CLONE_VM | linux.CLONE_FS | linux.CLONE_FILES | linux.CLONE_SIGHAND | linux.CLONE_THREAD

// run runs main as pid 1 and returns how it ended.
func run(t *testing.T, main func(g *scripted.Guest)) linux.WaitStatus {
	t.Helper()
	return scripted.New(t, &syscalls.Table, main).Run()
}

// runs runs main as pid 1 and expects it to exit with 0.
func runs(t *testing.T, main func(g *scripted.Guest)) {
	t.Helper()
	if st := run(t, main); st != 0 {
		t.Errorf("init ended with status %#x", uint32(st))
	}
}

// errno is what a call returns that fails with e.
func errno(e linux.Errno) int64 { return -int64(e) }

// want reports a result other than the one expected.
func want[T comparable](t *testing.T, what string, got, exp T) {
	t.Helper()
	if got != exp {
		t.Errorf("%s: got %v, want %v", what, got, exp)
	}
}

// wait4 waits for pid and returns what wait4(2) did, and the status.
func wait4(g *scripted.Guest, pid int64, options linux.WaitOptions) (int64, linux.WaitStatus) {
	at := g.Alloc(4)
	r := g.Call(sysWait4, uint64(pid), uint64(at), uint64(options), 0)
	return r, linux.WaitStatus(g.Load32(at))
}

func ms(g *scripted.Guest, n int) {
	ts := make([]byte, 16)
	ns := n * 1_000_000
	for i := range 4 {
		ts[8+i] = byte(ns >> (8 * i))
	}
	g.Call(sysNanosleep, g.Put(ts), 0)
}

func TestForkExitWait(t *testing.T) {
	runs(t, func(g *scripted.Guest) {
		want(t, "getpid", g.Call(sysGetpid), 1)
		pid := g.Fork(func(g *scripted.Guest) {
			want(t, "child's getpid", g.Call(sysGetpid), 2)
			want(t, "getppid", g.Call(sysGetppid), 1)
			g.Call(sysExitGroup, 7)
		})
		want(t, "fork", pid, 2)
		r, st := wait4(g, -1, 0)
		want(t, "wait4", r, 2)
		want(t, "status", st, linux.ExitStatus(7))
		r, _ = wait4(g, -1, 0)
		want(t, "wait4 without children", r, errno(linux.ECHILD))
	})
}

// TestPlatformKnowsOfSleeps counts what the platform is told: of sleeps, and of
// nothing else.
func TestPlatformKnowsOfSleeps(t *testing.T) {
	var w *scripted.World
	w = scripted.New(t, &syscalls.Table, func(g *scripted.Guest) {
		before := w.P.Slept.Load()
		g.Call(sysGetpid)
		want(t, "sleeps after getpid", w.P.Slept.Load(), before)
		ms(g, 1)
		want(t, "sleeps after nanosleep", w.P.Slept.Load(), before+1)
		g.Call(sysExitGroup, 0)
	})
	w.Run()
	w.Close()
}

func TestForkSeparatesMemory(t *testing.T) {
	runs(t, func(g *scripted.Guest) {
		a := g.Alloc(16)
		g.Store32(a, 1)
		g.Fork(func(g *scripted.Guest) {
			want(t, "in the child", g.Load32(a), 1)
			g.Store32(a, 2)
			g.Call(sysExitGroup, 0)
		})
		wait4(g, -1, 0)
		want(t, "in the parent", g.Load32(a), 1)
	})
}

func TestThreadsShareAndLeaveTogether(t *testing.T) {
	st := run(t, func(g *scripted.Guest) {
		a := g.Alloc(16)
		for range 4 {
			g.Clone(thread, func(g *scripted.Guest) {
				want(t, "getpid in a thread", g.Call(sysGetpid), 1)
				g.Store32(a, 5)
				g.Call(sysFutex, uint64(a), linux.FUTEX_WAKE, 1)
				g.Call(sysPause)
				t.Error("pause returned")
			})
		}
		for g.Load32(a) != 5 {
			g.Call(sysFutex, uint64(a), linux.FUTEX_WAIT, 0)
		}
		g.Call(sysExitGroup, 3)
	})
	want(t, "status", st, linux.ExitStatus(3))
}

func TestLeaderMayExitFirst(t *testing.T) {
	runs(t, func(g *scripted.Guest) {
		g.Fork(func(g *scripted.Guest) {
			g.Clone(thread, func(g *scripted.Guest) {
				ms(g, 20)
				g.Call(sysExit, 9)
			})
			g.Call(sysExit, 4)
		})
		r, _ := wait4(g, -1, linux.WNOHANG)
		want(t, "wait4 before the last thread", r, 0)
		_, st := wait4(g, -1, 0)
		want(t, "status: the last thread's", st, linux.ExitStatus(9)) // the leader's before Linux 5.18
	})
}

func TestExecEndsSiblingsAndTakesTheLead(t *testing.T) {
	var execed atomic.Bool
	runs(t, func(g *scripted.Guest) {
		if execed.Load() { // the program anew, in whichever process
			want(t, "gettid after execve", g.Call(sysGettid), g.Call(sysGetpid))
			g.Call(sysExitGroup, 42)
		}
		g.Fork(func(g *scripted.Guest) {
			for range 3 {
				g.Clone(thread, func(g *scripted.Guest) { g.Call(sysPause) })
			}
			g.Clone(thread, func(g *scripted.Guest) {
				execed.Store(true)
				r := g.Call(sysExecve, g.PutString("/init"), 0, 0)
				t.Error("execve returned", r)
			})
			g.Call(sysPause)
		})
		r, st := wait4(g, -1, 0)
		want(t, "wait4", r, 2)
		want(t, "status", st, linux.ExitStatus(42))
	})
}

func TestVforkWaitsForTheChild(t *testing.T) {
	runs(t, func(g *scripted.Guest) {
		var ended atomic.Bool
		g.Clone(linux.CLONE_VM|linux.CLONE_VFORK|linux.CloneFlags(linux.SIGCHLD), func(g *scripted.Guest) {
			ms(g, 10)
			ended.Store(true)
			g.Call(sysExitGroup, 0)
		})
		want(t, "the child has ended", ended.Load(), true)
		wait4(g, -1, 0)
	})
}

func TestOrphansGoToInitOrSubreaper(t *testing.T) {
	runs(t, func(g *scripted.Guest) {
		g.Fork(func(g *scripted.Guest) {
			g.Call(sysPrctl, linux.PR_SET_CHILD_SUBREAPER, 1)
			me := g.Call(sysGetpid)
			g.Fork(func(g *scripted.Guest) {
				g.Fork(func(g *scripted.Guest) {
					for g.Call(sysGetppid) != me {
						ms(g, 1)
					}
					g.Call(sysExitGroup, 11)
				})
				g.Call(sysExitGroup, 0)
			})
			wait4(g, -1, 0)
			_, st := wait4(g, -1, 0)
			want(t, "the orphan's status", st, linux.ExitStatus(11))
			g.Fork(func(g *scripted.Guest) {
				ms(g, 10)
				want(t, "parent", g.Call(sysGetppid), 1)
				g.Call(sysExitGroup, 12)
			})
			g.Call(sysExitGroup, 0)
		})
		wait4(g, -1, 0)
		_, st := wait4(g, -1, 0)
		want(t, "what init inherits", st, linux.ExitStatus(12))
	})
}

func TestInitsEndEndsAll(t *testing.T) {
	w := scripted.New(t, &syscalls.Table, func(g *scripted.Guest) {
		for range 5 {
			g.Fork(func(g *scripted.Guest) {
				g.Fork(func(g *scripted.Guest) { g.Call(sysPause) })
				g.Call(sysPause)
			})
		}
		ms(g, 10)
		g.Call(sysExitGroup, 1)
	})
	want(t, "status", w.Run(), linux.ExitStatus(1))
	want(t, "processes left", len(w.Container.Groups()), 0)
	time.Sleep(10 * time.Millisecond)
	want(t, "address spaces left", w.P.Living(), 0)
}

func TestIgnoredChildrenLeaveNoZombies(t *testing.T) {
	runs(t, func(g *scripted.Guest) {
		g.Action(linux.SIGCHLD, linux.SigAction{Handler: linux.SIG_IGN})
		g.Fork(func(g *scripted.Guest) { g.Call(sysExitGroup, 0) })
		r, _ := wait4(g, -1, 0)
		want(t, "wait4", r, errno(linux.ECHILD))
	})
}

func TestStopAndContinue(t *testing.T) {
	runs(t, func(g *scripted.Guest) {
		pid := g.Fork(func(g *scripted.Guest) {
			g.Clone(thread, func(g *scripted.Guest) { g.Spin(func() bool { return false }) })
			g.Call(sysPause)
		})
		g.Call(sysKill, uint64(pid), uint64(linux.SIGSTOP))
		r, st := wait4(g, pid, linux.WUNTRACED)
		want(t, "wait4 of a stop", r, pid)
		want(t, "status", st, linux.StopStatus(linux.SIGSTOP))
		r, _ = wait4(g, pid, linux.WUNTRACED|linux.WNOHANG)
		want(t, "a stop is told once", r, 0)
		g.Call(sysKill, uint64(pid), uint64(linux.SIGCONT))
		_, st = wait4(g, pid, linux.WCONTINUED)
		want(t, "status", st, linux.ContinuedStatus)
		g.Call(sysKill, uint64(pid), uint64(linux.SIGSTOP))
		wait4(g, pid, linux.WUNTRACED)
		g.Call(sysKill, uint64(pid), uint64(linux.SIGKILL))
		_, st = wait4(g, pid, 0)
		want(t, "status", st, linux.SignalStatus(linux.SIGKILL, false))
	})
}

func TestProcessGroups(t *testing.T) {
	runs(t, func(g *scripted.Guest) {
		want(t, "setpgid of a session's leader", g.Call(sysSetpgid, 0, 0), errno(linux.EPERM))
		pid := g.Fork(func(g *scripted.Guest) {
			want(t, "setsid", g.Call(sysSetsid), g.Call(sysGetpid))
			want(t, "setsid again", g.Call(sysSetsid), errno(linux.EPERM))
			g.Call(sysPause)
		})
		other := g.Fork(func(g *scripted.Guest) { g.Call(sysPause) })
		want(t, "setpgid", g.Call(sysSetpgid, uint64(other), uint64(other)), 0)
		ms(g, 10)
		want(t, "setpgid to another session", g.Call(sysSetpgid, uint64(other), uint64(pid)), errno(linux.EPERM))
		want(t, "kill of a group", g.Call(sysKill, uint64(-other), uint64(linux.SIGTERM)), 0)
		_, st := wait4(g, other, 0)
		want(t, "status", st, linux.SignalStatus(linux.SIGTERM, false))
		want(t, "kill of no group", g.Call(sysKill, uint64(-other), uint64(linux.SIGTERM)), errno(linux.ESRCH))
		want(t, "kill of all", g.Call(sysKill, ^uint64(0), uint64(linux.SIGKILL)), 0)
		wait4(g, pid, 0)
	})
}

func TestCloneRefusesNonsense(t *testing.T) {
	runs(t, func(g *scripted.Guest) {
		for _, f := range []linux.CloneFlags{
			linux.CLONE_THREAD, linux.CLONE_SIGHAND, linux.CLONE_NEWNS | linux.CLONE_FS,
			linux.CLONE_NEWIPC | linux.CLONE_SYSVSEM, linux.CLONE_PARENT,
			thread | linux.CLONE_NEWPID,
		} {
			want(t, "clone", g.Clone(f, func(*scripted.Guest) {}), errno(linux.EINVAL))
		}
	})
}

func TestNestedPIDNamespace(t *testing.T) {
	runs(t, func(g *scripted.Guest) {
		pid := g.Clone(linux.CLONE_NEWPID|linux.CloneFlags(linux.SIGCHLD), func(g *scripted.Guest) {
			want(t, "getpid", g.Call(sysGetpid), 1)
			want(t, "getppid", g.Call(sysGetppid), 0)
			child := g.Fork(func(g *scripted.Guest) { g.Call(sysPause) })
			want(t, "child's number", child, 2)
			g.Call(sysKill, 1, uint64(linux.SIGTERM)) // its own pid 1: nothing
			g.Call(sysExitGroup, 5)
		})
		want(t, "number outside", pid, 2)
		_, st := wait4(g, pid, 0)
		want(t, "status", st, linux.ExitStatus(5))
	})
}
