package syscalls

import (
	"fmt"
	"strconv"

	"garrison/platform/arch"
	"garrison/sentry/kernel"
	"garrison/sentry/linux"
	"garrison/sentry/usermem"
)

// A pathname is a guest pointer to the name of a file.
type pathname uint64

// load copies the name in: EFAULT, or ENAMETOOLONG from PATH_MAX bytes on. The
// empty name is for the callers to judge.
func (p pathname) load(t *kernel.Task) (string, error) {
	return usermem.CopyInString(t, arch.Addr(p), linux.PATH_MAX-1)
}

// Trace shows the name itself.
func (p pathname) Trace(t *kernel.Task) string {
	s, err := p.load(t)
	if err != nil {
		return address(p).String()
	}
	return strconv.Quote(s)
}

// An address is a guest address that is not followed.
type address uint64

// String is a as strace writes it.
func (a address) String() string {
	if a == 0 {
		return "NULL"
	}
	return fmt.Sprintf("%#x", uint64(a))
}

// Addr is a for the packages below.
func (a address) Addr() arch.Addr { return arch.Addr(a) }

// A size is a size_t: a count of bytes.
type size uint64
