package sandbox

import (
	"fmt"
	"os"
	"strconv"
	"time"
)

// monitorSlack is by how much Go's monitor may sleep longer than it asks for.
const monitorSlack = 500 * time.Microsecond

// calmMonitor has Go's monitor, in a program that runs by now, wake up less often. While
// anything happens it sleeps for 20 µs at a time, which by the host's own slack are 70, and
// each time another thread has to make room for it, which is as a rule one that serves a
// guest: that alone was a sixth of the CPU time of a small request by network. It is only to
// be late for where more tasks sleep than Go lets run, and even 40 pairs of threads that
// wake each other get on faster so.
//
// The monitor is the first thread that Go makes, before anything of ours runs, so somebody
// else has to change it. Threads that it makes are as coarse, until they serve a guest
// (stub.FineTimers). Where the host does not let us, nothing is lost but time.
func calmMonitor(pid int) {
	const first = 2 // in a pid namespace of the program's own
	tasks, _ := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	for _, t := range tasks {
		tid, _ := strconv.Atoi(t.Name())
		if tid != pid && innerPID(tid) == first {
			_ = os.WriteFile(fmt.Sprintf("/proc/%d/timerslack_ns", tid), []byte(strconv.Itoa(int(monitorSlack))), 0)
			return
		}
	}
}
