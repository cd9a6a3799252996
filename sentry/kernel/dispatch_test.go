package kernel

import (
	"testing"

	"garrison/platform/hot"
)

// bare is a task that can be asked for its number and nothing else.
func bare(table *Table) *Task {
	ns := newPIDNamespace(nil, nil, 1)
	pid := &PID{ns: ns, numbers: []int32{1}}
	k := &Kernel{table: table, rootPIDNS: ns}
	return &Task{k: k, pid: pid, tg: &ThreadGroup{k: k, pid: pid}}
}

func TestDispatchOfUnknownCalls(t *testing.T) {
	x := bare(&Table{})
	for _, nr := range []uint64{0, 511, 512, 1 << 40, ^uint64(0)} {
		x.regs.OrigRAX = nr
		x.dispatch()
		if int64(x.regs.RAX) != -38 {
			t.Errorf("call %#x returned %d", nr, int64(x.regs.RAX))
		}
	}
}

func BenchmarkDispatch(b *testing.B) {
	x := bare(&Table{39: {Fn: func(t *Task, _ *[6]uint64) (uint64, error) { return uint64(t.TGID()), nil }}})
	x.regs.OrigRAX = 39
	b.ReportAllocs()
	for b.Loop() {
		x.cputime.wasInGuest(hot.Now(), hot.Now())
		x.dispatch()
	}
}
