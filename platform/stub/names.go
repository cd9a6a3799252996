package stub

import (
	"encoding/binary"
	"math"

	"golang.org/x/sys/unix"

	"garrison/platform/arch"
)

// Names are what the host shows of a stub's thread and its process.
type Names struct {
	Comm string // the thread's name
	Args []byte // strings that each end with a 0
}

// What Put writes, for the stub to read: a struct prctl_mm_map (PR_SET_MM_MAP of
// prctl(2)), the argument of PR_SET_NAME, and the arguments behind their length. The
// stub's text has these numbers, too.
const (
	NamesMap    = 0
	NamesComm   = 104
	NamesLength = 120
	NamesArgs   = 128
	NamesSize   = 0x6000

	// SizeofNamesMap is the length of a struct prctl_mm_map.
	SizeofNamesMap = 104

	commSize = 16
)

// Put writes n to b, which is NamesSize bytes that the stub can read and not write. What
// does not fit is cut. The stub copies the arguments to NamesSize bytes at args first:
// for /proc/pid/cmdline the host reads anonymous private memory only, and guests have
// none. text is the stub's own, which passes for that of the program.
func (n *Names) Put(b []byte, text, args arch.Addr) {
	clear(b[NamesComm:][:commSize])
	copy(b[NamesComm:][:commSize-1], n.Comm)
	length := copy(b[NamesArgs:], n.Args)
	if length == 0 || b[NamesArgs+length-1] != 0 { // the host takes that for setproctitle(3)'s doing
		length = min(length, NamesSize-NamesArgs-1)
		b[NamesArgs+length] = 0
		length++
	}
	binary.LittleEndian.PutUint64(b[NamesLength:], uint64(length))
	start, end := uint64(args), uint64(args)+uint64(length)
	for i, v := range []uint64{
		uint64(text), uint64(text) + arch.PageSize, // code
		start, start, start, start, start, // data, heap, and the start of the stack
		start, end, end, end, // arguments and environment
		0, math.MaxUint32 << 32, // no auxiliary vector and no executable: size 0, descriptor -1
	} {
		binary.LittleEndian.PutUint64(b[NamesMap+8*i:], v)
	}
}

// ClearNames makes b, which Put has written or nobody, hold nothing.
func ClearNames(b []byte) {
	clear(b[:NamesArgs+binary.LittleEndian.Uint64(b[NamesLength:])])
}

// NamingCalls are the host calls by which a stub shows what Put has written at names.
// It may make them whenever it likes, with what is there.
func NamingCalls(names uint64) [2]Call {
	return [2]Call{
		{unix.SYS_PRCTL, [6]uint64{unix.PR_SET_NAME, names + NamesComm}},
		{unix.SYS_PRCTL, [6]uint64{unix.PR_SET_MM, unix.PR_SET_MM_MAP, names + NamesMap, SizeofNamesMap}},
	}
}
