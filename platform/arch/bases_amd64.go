package arch

import (
	"slices"

	"golang.org/x/sys/unix"
)

// HostLoadsBases reports whether the host lets programs load the bases of FS and GS
// themselves, by WRFSBASE and WRGSBASE. Some virtual machines don't.
func HostLoadsBases() bool {
	const atHWCap2, fsgsbase = 26, 1 << 1 // getauxval(3), Linux's hwcap2.h
	aux, err := unix.Auxv()
	return err == nil && slices.ContainsFunc(aux, func(a [2]uintptr) bool { return a[0] == atHWCap2 && a[1]&fsgsbase != 0 })
}
