// Package guest is the conformance tests that run inside: each says which
// system calls it covers, and passes on Linux with the same assertions.
//
// A file is a manual page (or a family of them). Where Go's runtime gets in the
// way (fork, signal frames, vfork, setjmp) the case is a small C program of
// ../c, which TestC runs.
package guest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// covers says which system calls a test would catch if they were broken. The
// runner reads it from the test's output.
func covers(t *testing.T, calls ...string) {
	t.Helper()
	for _, c := range calls {
		fmt.Printf("covers %s %s\n", c, t.Name())
	}
}

// absent says whether err is that of a call that this kernel was built without.
// The runner compares: what Linux has must not be absent in the sandbox.
func absent(call string, err error) bool {
	if err != unix.ENOSYS {
		return false
	}
	fmt.Printf("absent %s\n", call)
	return true
}

// ok fails the test if err is not nil.
func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// fails checks that err is one of the errnos, and not merely an error.
func fails(t *testing.T, err error, errnos ...syscall.Errno) {
	t.Helper()
	for _, e := range errnos {
		if err == e {
			return
		}
	}
	t.Errorf("got %v, want %v", err, errnos)
}

// call makes a system call of which the wrappers know nothing; its error is nil
// or an Errno.
func call(nr uintptr, args ...uintptr) (uintptr, error) {
	var a [6]uintptr
	copy(a[:], args)
	r, _, e := syscall.Syscall6(nr, a[0], a[1], a[2], a[3], a[4], a[5])
	if e != 0 {
		return r, e
	}
	return r, nil
}

// dir is a directory of the test's own.
func dir(t *testing.T) string {
	t.Helper()
	return t.TempDir()
}

// file makes a file with the content and returns its name and a descriptor open
// for reading and writing, closed with the test.
func file(t *testing.T, content string) (string, int) {
	t.Helper()
	name := filepath.Join(dir(t), "file")
	ok(t, os.WriteFile(name, []byte(content), 0o644))
	fd, err := unix.Open(name, unix.O_RDWR|unix.O_CLOEXEC, 0)
	ok(t, err)
	closeLater(t, fd)
	return name, fd
}

// closeLater closes fd with the test; that it is closed by then is no error.
func closeLater(t *testing.T, fds ...int) {
	t.Cleanup(func() {
		for _, fd := range fds {
			unix.Close(fd)
		}
	})
}

// soon bounds what should happen at once.
const soon = 10 * time.Second

// equal compares what was got with what was wanted.
func equal[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

func itoa(n int) string { return fmt.Sprint(n) }

func hex(p uintptr) string { return fmt.Sprintf("%x", p) }

// findLine is the first line of text that begins with prefix, or "".
func findLine(text, prefix string) string {
	for l := range strings.SplitSeq(text, "\n") {
		if strings.HasPrefix(l, prefix) {
			return l
		}
	}
	return ""
}

// fields is line's words, and six more that are empty.
func fields(line string) []string { return append(strings.Fields(line), make([]string, 6)...) }

func splitLines(s string) []string { return strings.Split(strings.TrimRight(s, "\n"), "\n") }

// cutColon splits "Key:\tvalue" of a status file.
func cutColon(l string) (key, value string, found bool) {
	key, value, found = strings.Cut(l, ":")
	return key, strings.TrimSpace(value), found
}
