package syscalls

import (
	"garrison/sentry/kernel"
	"garrison/sentry/linux"
)

// Commands of membarrier(2), <linux/membarrier.h>.
const (
	membarrierQuery             = 0
	membarrierGlobal            = 1
	membarrierGlobalExpedited   = 2
	membarrierRegisterGlobal    = 4
	membarrierPrivateExpedited  = 8
	membarrierRegisterPrivate   = 16
	membarrierPrivateSync       = 32
	membarrierRegisterSync      = 64
	membarrierGetRegistrations  = 512
	membarrierPrivate           = membarrierPrivateExpedited | membarrierPrivateSync
	membarrierAllButRegistering = membarrierGlobal | membarrierGlobalExpedited | membarrierPrivate
)

// membarrier implements membarrier(2): every running thread concerned is made to
// enter the kernel and leave it, which orders its memory accesses.
func membarrier(t *kernel.Task, cmd int32, flags uint32, _ int32) (int, error) {
	if flags != 0 {
		return 0, linux.EINVAL
	}
	g := t.ThreadGroup()
	switch cmd {
	case membarrierQuery:
		return membarrierAllButRegistering | membarrierRegisterGlobal | membarrierRegisterPrivate |
			membarrierRegisterSync | membarrierGetRegistrations, nil
	case membarrierGlobal, membarrierGlobalExpedited:
		for _, x := range t.Kernel().Groups(t.Kernel().RootPIDNS()) {
			x.SyncThreads(t)
		}
		return 0, nil
	case membarrierPrivateExpedited, membarrierPrivateSync:
		if g.Barriers()&uint32(cmd<<1) == 0 {
			return 0, linux.EPERM
		}
		g.SyncThreads(t)
		return 0, nil
	case membarrierRegisterGlobal, membarrierRegisterPrivate, membarrierRegisterSync:
		g.RegisterBarriers(uint32(cmd))
		return 0, nil
	case membarrierGetRegistrations:
		return int(g.Barriers()), nil
	}
	return 0, linux.EINVAL
}
