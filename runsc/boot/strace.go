package boot

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"sync"

	"golang.org/x/sys/unix"

	"garrison/sentry/kernel"
)

// A strace writes every system call as strace(1) does. The call is formatted
// before it is made, while its arguments are still what the guest passed.
type strace struct {
	mu  sync.Mutex
	out io.Writer // protected by mu: lines are written whole

	pending sync.Map // *kernel.Task to string: calls that have not returned
}

func newStrace() *strace { return &strace{out: os.Stderr} }

// Enter implements kernel.Tracer.
func (s *strace) Enter(t *kernel.Task, c *kernel.Syscall, args *[6]uint64) {
	text := c.Name + "(…)"
	if c.Trace != nil {
		text = c.Trace(t, args)
	}
	if c.Name == "exit" || c.Name == "exit_group" {
		s.write(t, text, "?")
		return
	}
	s.pending.Store(t, text)
}

// Exit implements kernel.Tracer.
func (s *strace) Exit(t *kernel.Task, c *kernel.Syscall, _ *[6]uint64, ret uint64, err error) {
	text, ok := s.pending.LoadAndDelete(t)
	if !ok {
		text = c.Name + "(…)"
	}
	s.write(t, text.(string), result(ret, err))
}

func (s *strace) write(t *kernel.Task, text, result string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintf(s.out, "[%5d] %s = %s\n", t.PID().In(t.Kernel().RootPIDNS()), text, result)
}

// result is what a call returned as strace(1) shows it.
func result(ret uint64, err error) string {
	if err == nil {
		if int64(ret) > 1<<20 {
			return "0x" + strconv.FormatUint(ret, 16)
		}
		return strconv.FormatInt(int64(ret), 10)
	}
	var errno unix.Errno
	if e, ok := err.(unix.Errno); ok { //nolint:errorlint // kernel errors are bare errnos
		errno = e
	}
	if name := unix.ErrnoName(errno); name != "" {
		return "-1 " + name + " (" + errno.Error() + ")"
	}
	return "? " + err.Error()
}
