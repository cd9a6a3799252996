// Command hostile is a guest that means harm. It runs in a sandbox, as the tests
// of test/posture tell it; what it does must hurt nobody but itself.
package main

import (
	"fmt"
	"math/rand"
	"os"
	"runtime"
	"strconv"
	"syscall"
	"time"
)

func main() {
	if len(os.Args) < 2 {
		os.Exit(2)
	}
	switch os.Args[1] {
	case "calls":
		seed, _ := strconv.ParseInt(os.Args[2], 10, 64)
		n, _ := strconv.Atoi(os.Args[3])
		calls(rand.New(rand.NewSource(seed)), n)
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

// harmless to leave out: calls that end or stop this very process, or wait for
// what never comes.
var skipped = map[uintptr]bool{
	syscall.SYS_EXIT: true, syscall.SYS_EXIT_GROUP: true, syscall.SYS_PAUSE: true, syscall.SYS_RT_SIGSUSPEND: true,
	syscall.SYS_RT_SIGRETURN: true, syscall.SYS_FORK: true, syscall.SYS_VFORK: true, syscall.SYS_CLONE: true, 435: true, // clone3
	syscall.SYS_EXECVE: true, 322: true, // execveat
	syscall.SYS_KILL: true, syscall.SYS_TKILL: true, syscall.SYS_TGKILL: true, syscall.SYS_RT_SIGQUEUEINFO: true, 297: true,
	syscall.SYS_ALARM: true, syscall.SYS_SETITIMER: true, syscall.SYS_TIMER_CREATE: true, syscall.SYS_TIMER_SETTIME: true,
	syscall.SYS_NANOSLEEP: true, syscall.SYS_CLOCK_NANOSLEEP: true, syscall.SYS_FUTEX: true, 449: true, // futex_waitv
	syscall.SYS_WAIT4: true, syscall.SYS_WAITID: true, syscall.SYS_SELECT: true, syscall.SYS_PSELECT6: true, syscall.SYS_POLL: true,
	syscall.SYS_PPOLL: true, syscall.SYS_EPOLL_WAIT: true, syscall.SYS_EPOLL_PWAIT: true, 441: true, syscall.SYS_RT_SIGTIMEDWAIT: true,
	syscall.SYS_READ: true, syscall.SYS_READV: true, syscall.SYS_RECVFROM: true, syscall.SYS_RECVMSG: true, 299: true, // recvmmsg
	syscall.SYS_ACCEPT: true, syscall.SYS_ACCEPT4: true, syscall.SYS_CONNECT: true, syscall.SYS_FLOCK: true, syscall.SYS_SPLICE: true,
	syscall.SYS_TEE: true, syscall.SYS_MUNMAP: true, syscall.SYS_MREMAP: true, syscall.SYS_MPROTECT: true, syscall.SYS_MMAP: true,
	syscall.SYS_BRK: true, syscall.SYS_MADVISE: true, 440: true, 462: true, // process_madvise, mseal
	syscall.SYS_ARCH_PRCTL: true, syscall.SYS_RT_SIGACTION: true, syscall.SYS_RT_SIGPROCMASK: true, syscall.SYS_SIGALTSTACK: true,
	syscall.SYS_PRLIMIT64: true, syscall.SYS_SETRLIMIT: true, syscall.SYS_PTRACE: true, syscall.SYS_SET_TID_ADDRESS: true, 334: true, // rseq
	syscall.SYS_MSGRCV: true, syscall.SYS_SEMOP: true, 220: true, syscall.SYS_MQ_TIMEDRECEIVE: true, syscall.SYS_FCNTL: true, // F_SETLKW
	syscall.SYS_VHANGUP: true, syscall.SYS_REBOOT: true, syscall.SYS_CLOSE: true, 436: true, // close_range
	syscall.SYS_DUP2: true, syscall.SYS_DUP3: true, syscall.SYS_REMAP_FILE_PAGES: true, syscall.SYS_PERSONALITY: true, syscall.SYS_SHMAT: true,
}

// calls makes n system calls of random numbers with random arguments: small
// numbers, descriptors, flags, and pointers that are good, bad or at the edge.
func calls(r *rand.Rand, n int) {
	runtime.LockOSThread()
	page, err := syscall.Mmap(-1, 0, 1<<16, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	for _, path := range []string{"/proc/self/maps", "/dev/zero", "/", "/tmp", "/proc/self/status"} {
		_, _ = syscall.Open(path, syscall.O_RDONLY, 0)
	}
	_, _ = syscall.Open("/tmp", 0o20000000|syscall.O_RDWR, 0o600) // O_TMPFILE
	_, _ = syscall.Socket(syscall.AF_UNIX, syscall.SOCK_DGRAM|syscall.SOCK_NONBLOCK, 0)
	_, _ = syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_NONBLOCK, 0)
	_, _ = syscall.Socket(syscall.AF_INET6, syscall.SOCK_DGRAM|syscall.SOCK_NONBLOCK, 0)
	_, _ = syscall.EpollCreate1(0)
	base := address(page)
	for i := range page {
		page[i] = byte(r.Intn(256))
	}
	copy(page[256:], "/tmp/x\x00")
	copy(page[512:], "/proc/self/../../etc/passwd\x00")
	argument := func() uintptr {
		switch r.Intn(12) {
		case 0:
			return 0
		case 1, 2:
			return uintptr(r.Intn(20))
		case 3:
			return uintptr(r.Intn(1 << 16))
		case 4:
			return ^uintptr(r.Intn(200))
		case 5:
			return 1 << uint(r.Intn(64))
		case 6:
			return uintptr(r.Uint64())
		case 7:
			return base + uintptr(len(page)) - uintptr(r.Intn(64)) // runs off the end
		case 8:
			return base + 256
		case 9:
			return base + 512
		default:
			return base + uintptr(r.Intn(len(page)))
		}
	}
	for range n {
		nr := uintptr(r.Intn(470))
		if r.Intn(100) == 0 {
			nr = uintptr(r.Uint64())
		}
		if skipped[nr] {
			continue
		}
		_, _, _ = syscall.RawSyscall6(nr, argument(), argument(), argument(), argument(), argument(), argument())
		if r.Intn(16) == 0 {
			_, _ = r.Read(page[r.Intn(len(page)-64):][:64])
		}
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
