package syscalls

import (
	"garrison/sentry/kernel"
	"garrison/sentry/linux"
)

// rseq implements rseq(2), which Linux documents in <linux/rseq.h> alone.
func rseq(t *kernel.Task, at address, size uint32, flags int32, sig uint32) (int, error) {
	now := t.Rseq()
	a := kernel.RseqArea{At: at.Addr(), Size: size, Sig: sig}
	switch {
	case flags != 0 && flags != linux.RseqUnregister,
		now.At == 0 && flags == linux.RseqUnregister,
		now.At != 0 && (a.At != now.At || size != now.Size):
		return 0, linux.EINVAL
	case now.At != 0 && sig != now.Sig:
		return 0, linux.EPERM
	case flags == linux.RseqUnregister:
		return 0, t.UnregisterRseq()
	case now.At != 0:
		return 0, linux.EBUSY
	case size < linux.RseqOriginalSize,
		size == linux.RseqOriginalSize && at%linux.RseqOriginalSize != 0,
		size != linux.RseqOriginalSize && at%linux.RseqAlign != 0:
		return 0, linux.EINVAL
	}
	return 0, t.RegisterRseq(a)
}
