// Command pause is what a pod's own container runs, in the tests: it waits to be
// told to end, and as the first process of a pod that shares its processes it lets
// the kernel reap those that others have left.
package main

import (
	"os"
	"os/signal"

	"golang.org/x/sys/unix"
)

func main() {
	signal.Ignore(unix.SIGCHLD)
	told := make(chan os.Signal, 1)
	signal.Notify(told, unix.SIGINT, unix.SIGTERM)
	<-told
}
