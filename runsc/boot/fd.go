package boot

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// bareFD turns f into a descriptor that no finalizer closes.
func bareFD(f *os.File) (int, error) {
	defer f.Close()
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("dup: %w", err)
	}
	return fd, nil
}
