package linux

// Loop devices, loop(4), <linux/loop.h>, and their numbers.
const (
	LOOP_MAJOR    = 7
	LOOP_MINORS   = 1 << 20
	LO_NAME_SIZE  = 64
	LO_KEY_SIZE   = 32
	LOOP_CTRL_MAJ = 10
	LOOP_CTRL_MIN = 237

	LO_FLAGS_READ_ONLY = 1
	LO_FLAGS_AUTOCLEAR = 4
	LO_FLAGS_PARTSCAN  = 8
	LO_FLAGS_DIRECT_IO = 16
)

// Their ioctl(2) commands.
const (
	LOOP_SET_FD         = 0x4c00
	LOOP_CLR_FD         = 0x4c01
	LOOP_SET_STATUS     = 0x4c02
	LOOP_GET_STATUS     = 0x4c03
	LOOP_SET_STATUS64   = 0x4c04
	LOOP_GET_STATUS64   = 0x4c05
	LOOP_CHANGE_FD      = 0x4c06
	LOOP_SET_CAPACITY   = 0x4c07
	LOOP_SET_DIRECT_IO  = 0x4c08
	LOOP_SET_BLOCK_SIZE = 0x4c09
	LOOP_CONFIGURE      = 0x4c0a

	LOOP_CTL_ADD      = 0x4c80
	LOOP_CTL_REMOVE   = 0x4c81
	LOOP_CTL_GET_FREE = 0x4c82
)

// LoopInfo64 is struct loop_info64.
type LoopInfo64 struct {
	Device         uint64
	Inode          uint64
	RDevice        uint64
	Offset         uint64
	SizeLimit      uint64
	Number         uint32
	EncryptType    uint32
	EncryptKeySize uint32
	Flags          uint32
	FileName       [LO_NAME_SIZE]byte
	CryptName      [LO_NAME_SIZE]byte
	EncryptKey     [LO_KEY_SIZE]byte
	Init           [2]uint64
}

// LoopInfo is struct loop_info, which the other has outgrown.
type LoopInfo struct {
	Number         int32
	_              [4]byte
	Device         uint64
	Inode          uint64
	RDevice        uint64
	Offset         int32
	EncryptType    int32
	EncryptKeySize int32
	Flags          int32
	Name           [LO_NAME_SIZE]byte
	EncryptKey     [LO_KEY_SIZE]byte
	Init           [2]uint64
	Reserved       [4]byte
	_              [4]byte
}

// LoopConfig is struct loop_config.
type LoopConfig struct {
	FD        uint32
	BlockSize uint32
	Info      LoopInfo64
	Reserved  [8]uint64
}
