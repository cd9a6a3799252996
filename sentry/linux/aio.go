package linux

// Operations of an iocb, <linux/aio_abi.h>. 4 and 6 are not taken.
const (
	IOCB_CMD_PREAD   = 0
	IOCB_CMD_PWRITE  = 1
	IOCB_CMD_FSYNC   = 2
	IOCB_CMD_FDSYNC  = 3
	IOCB_CMD_POLL    = 5
	IOCB_CMD_PREADV  = 7
	IOCB_CMD_PWRITEV = 8
)

// Flags of an iocb.
const (
	IOCB_FLAG_RESFD  = 1
	IOCB_FLAG_IOPRIO = 2
)

// IOCB is struct iocb.
type IOCB struct {
	Data      uint64
	Key       uint32
	RWFlags   uint32
	Opcode    uint16
	ReqPrio   int16
	FD        int32
	Buf       uint64
	NBytes    uint64
	Offset    int64
	Reserved2 uint64
	Flags     uint32
	ResFD     int32
}

// IOEvent is struct io_event.
type IOEvent struct {
	Data, Obj uint64
	Res, Res2 int64
}

// AIORing is struct aio_ring, which io_event structures follow.
type AIORing struct {
	ID, Nr, Head, Tail                    uint32
	Magic, Compat, Incompat, HeaderLength uint32
}

// What an AIORing says of itself, and where its ends are.
const (
	AIORingMagic      = 0xa10a10a1
	AIORingCompat     = 1
	AIORingHeadOffset = 8
	AIORingTailOffset = 12
)

// AIOSigset is struct __aio_sigset.
type AIOSigset struct{ Mask, Size uint64 }
