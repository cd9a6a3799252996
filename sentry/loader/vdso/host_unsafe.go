package vdso

import (
	"encoding/binary"
	"errors"
	"unsafe"

	"golang.org/x/sys/unix"
)

// auxSysinfoEHDR is AT_SYSINFO_EHDR: where the kernel mapped the vDSO.
const auxSysinfoEHDR = 33

// hostImage is the host's vDSO as it lies in this process. It is mapped for the
// life of the process and never written, so that a slice over it is sound; its
// length is what its section headers, which come last, end at.
func hostImage() ([]byte, error) {
	aux, err := unix.Auxv()
	if err != nil {
		return nil, err
	}
	for _, a := range aux {
		if a[0] != auxSysinfoEHDR || a[1] == 0 {
			continue
		}
		base := unsafe.Add(unsafe.Pointer(nil), a[1])
		h := unsafe.Slice((*byte)(base), ehdrSize)
		shoff := binary.LittleEndian.Uint64(h[40:])
		shentsize, shnum := binary.LittleEndian.Uint16(h[58:]), binary.LittleEndian.Uint16(h[60:])
		return unsafe.Slice((*byte)(base), shoff+uint64(shentsize)*uint64(shnum)), nil
	}
	return nil, errors.New("the host kernel gave this process none")
}
