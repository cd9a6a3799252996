package syscalls

import (
	"garrison/sentry/kernel"
	"garrison/sentry/linux"
)

// Commands of membarrier(2), <linux/membarrier.h>.
const (
	membarrierQuery            = 0
	membarrierGlobal           = 1
	membarrierGlobalExpedited  = 2
	membarrierRegisterGlobal   = 4
	membarrierPrivateExpedited = 8
	membarrierRegisterPrivate  = 16
	membarrierPrivateSync      = 32
	membarrierRegisterSync     = 64
	membarrierPrivateRseq      = 128
	membarrierRegisterRseq     = 256
	membarrierGetRegistrations = 512
	membarrierAll              = 1<<10 - 1

	membarrierFlagCPU = 1 // only those on one processor
)

// membarrier implements membarrier(2): every running thread concerned is made to
// enter the kernel and leave it, which orders its memory accesses. Those on one
// processor alone are as good as all.
func membarrier(t *kernel.Task, cmd int32, flags uint32, _ int32) (int, error) {
	if flags != 0 && (cmd != membarrierPrivateRseq || flags != membarrierFlagCPU) {
		return 0, linux.EINVAL
	}
	g := t.ThreadGroup()
	switch cmd {
	case membarrierQuery:
		return membarrierAll, nil
	case membarrierGlobal, membarrierGlobalExpedited:
		for _, x := range t.Kernel().Groups(t.Kernel().RootPIDNS()) {
			x.SyncThreads(t)
		}
		return 0, nil
	case membarrierPrivateExpedited, membarrierPrivateSync, membarrierPrivateRseq:
		if g.Barriers()&uint32(cmd<<1) == 0 {
			return 0, linux.EPERM
		}
		if cmd == membarrierPrivateRseq {
			g.RestartSections(t)
		} else {
			g.SyncThreads(t)
		}
		return 0, nil
	case membarrierRegisterGlobal, membarrierRegisterPrivate, membarrierRegisterSync, membarrierRegisterRseq:
		g.RegisterBarriers(uint32(cmd))
		return 0, nil
	case membarrierGetRegistrations:
		return int(g.Barriers()), nil
	}
	return 0, linux.EINVAL
}
