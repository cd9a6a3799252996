package boot

import "golang.org/x/sys/unix"

// hostMemory is the host's memory in bytes.
func hostMemory() uint64 {
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		return 1 << 30
	}
	return info.Totalram * uint64(info.Unit)
}
