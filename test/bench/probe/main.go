// Command probe is what the benchmarks run inside: it prints one number.
package main

import (
	"fmt"
	"os"
	"syscall"
	"time"
)

func main() {
	switch os.Args[1] {
	case "hello":
		fmt.Println("hello")
	case "getpid":
		fmt.Println(perCall(func() { syscall.RawSyscall(syscall.SYS_GETPID, 0, 0, 0) }).Nanoseconds())
	case "idle":
		fmt.Println("ready")
		time.Sleep(time.Hour)
	}
}

// perCall is the best of several rounds of f, each of 50 ms or so.
func perCall(f func()) time.Duration {
	n, best := 1000, time.Hour
	for range 8 {
		begin := time.Now()
		for range n {
			f()
		}
		took := time.Since(begin)
		best = min(best, took/time.Duration(n))
		n = max(1000, int(50*time.Millisecond/max(best, time.Nanosecond)))
	}
	return best
}
