package stub

import (
	"time"

	"golang.org/x/sys/unix"
)

// usualSlack is what Linux gives the first of all processes.
const usualSlack = 50 * time.Microsecond

// FineTimers has the calling thread, which serves a guest, sleep no longer than Linux lets
// other threads. It may have been made by one that sleeps longer, see prctl(2) on
// PR_SET_TIMERSLACK.
func FineTimers() { _ = unix.Prctl(unix.PR_SET_TIMERSLACK, uintptr(usualSlack), 0, 0, 0) }
