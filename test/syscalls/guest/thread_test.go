package guest

import (
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// The main thread is kept for the main goroutine, so that no test changes the
// credentials of the thread that others take for the process.
func init() { runtime.LockOSThread() }

// onThread runs f on a thread of its own, which ends with it: what f does to
// its credentials, its mask or its namespaces ends too.
func onThread(t *testing.T, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		f()
	}()
	<-done
}

// asNobody runs f on a thread with uid and gid 65534 and no capabilities.
func asNobody(t *testing.T, f func()) {
	t.Helper()
	onThread(t, func() {
		for _, err := range []error{
			threadCall(unix.SYS_SETGROUPS, 0, 0),
			threadCall(unix.SYS_SETRESGID, 65534, 65534, 65534),
			threadCall(unix.SYS_SETRESUID, 65534, 65534, 65534),
		} {
			if err != nil {
				t.Error(err)
				return
			}
		}
		f()
	})
}

// threadCall is a call that Go's wrappers would make on every thread.
func threadCall(nr uintptr, args ...uintptr) error {
	_, err := call(nr, args...)
	return err
}
