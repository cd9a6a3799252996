// Command hostile is a guest that means harm. It runs in a sandbox, as the tests
// of test/posture tell it; what it does must hurt nobody but itself.
package main

import (
	"fmt"
	"os"
	"runtime"
	"syscall"
	"time"
)

func main() {
	if len(os.Args) < 2 {
		os.Exit(2)
	}
	switch os.Args[1] {
	case "memory":
		memory()
	case "descriptors":
		descriptors()
	case "threads":
		threads()
	case "race":
		race()
	default:
		os.Exit(2)
	}
}

// memory touches more memory than anybody has.
func memory() {
	var all [][]byte
	for {
		b := make([]byte, 8<<20)
		for i := 0; i < len(b); i += 4096 {
			b[i] = 1
		}
		all = append(all, b)
		_ = all
	}
}

// descriptors opens files until it is told to stop.
func descriptors() {
	var l syscall.Rlimit
	_ = syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l)
	l.Cur = l.Max
	_ = syscall.Setrlimit(syscall.RLIMIT_NOFILE, &l)
	for n := 0; ; n++ {
		if _, err := syscall.Open("/etc/passwd", syscall.O_RDONLY, 0); err != nil {
			fmt.Println(n > 100, err)
			return
		}
	}
}

// threads makes threads until it is told to stop.
func threads() {
	made := 0
	for range 3000 {
		go func() {
			runtime.LockOSThread()
			for {
				time.Sleep(time.Hour)
			}
		}()
		made++
	}
	time.Sleep(time.Second)
	fmt.Println("made", made)
}

// race changes what a system call points at while it runs.
func race() {
	runtime.GOMAXPROCS(4)
	buf := make([]byte, 4096)
	done := time.After(2 * time.Second)
	go func() {
		for i := 0; ; i++ {
			buf[i%len(buf)] = byte(i)
		}
	}()
	var iov [4]syscall.Iovec
	go func() {
		for i := uint64(0); ; i++ {
			iov[i%4] = syscall.Iovec{Base: &buf[0], Len: i * 0x1234567}
		}
	}()
	null, _ := syscall.Open("/dev/null", syscall.O_RDWR, 0)
	for {
		select {
		case <-done:
			fmt.Println("raced")
			return
		default:
			_, _, _ = syscall.RawSyscall(syscall.SYS_WRITEV, uintptr(null), iovAddress(&iov), 4)
			_, _, _ = syscall.RawSyscall(syscall.SYS_STAT, address(buf), address(buf[2048:]), 0)
			_, _, _ = syscall.RawSyscall6(syscall.SYS_FUTEX, address(buf), uintptr(1), 1, 0, 0, 0)
		}
	}
}
