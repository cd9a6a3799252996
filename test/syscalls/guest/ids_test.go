package guest

import (
	"os"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestIdentity(t *testing.T) {
	covers(t, "getpid", "gettid", "getppid", "getuid", "geteuid", "getgid", "getegid", "getpgrp", "getpgid", "getsid")
	pid, err := call(unix.SYS_GETPID)
	ok(t, err)
	self, err := os.Readlink("/proc/self")
	ok(t, err)
	equal(t, "getpid", itoa(int(pid)), self)
	onThread(t, func() {
		tid, err := call(unix.SYS_GETTID)
		ok(t, err)
		self, err := os.Readlink("/proc/thread-self")
		ok(t, err)
		equal(t, "gettid", itoa(int(pid))+"/task/"+itoa(int(tid)), self)
	})
	for _, nr := range []uintptr{unix.SYS_GETUID, unix.SYS_GETEUID, unix.SYS_GETGID, unix.SYS_GETEGID} {
		id, err := call(nr)
		ok(t, err)
		equal(t, "id", id, 0)
	}
	onThread(t, func() {
		ok(t, threadCall(unix.SYS_SETRESGID, 11, 12, 13))
		ok(t, threadCall(unix.SYS_SETRESUID, 21, 22, 23))
		for nr, want := range map[uintptr]uintptr{unix.SYS_GETUID: 21, unix.SYS_GETEUID: 22, unix.SYS_GETGID: 11, unix.SYS_GETEGID: 12} {
			id, err := call(nr)
			ok(t, err)
			equal(t, "id", id, want)
		}
	})
	status := procStatus(t)
	ppid, err := call(unix.SYS_GETPPID)
	ok(t, err)
	equal(t, "getppid", itoa(int(ppid)), status["PPid"])
	pgrp, err := call(unix.SYS_GETPGRP)
	ok(t, err)
	pgid, err := unix.Getpgid(0)
	ok(t, err)
	equal(t, "group", int(pgrp), pgid)
	sid, err := unix.Getsid(0)
	ok(t, err)
	equal(t, "session", sid > 0, true)
	_, err = unix.Getpgid(1<<22 - 1)
	fails(t, err, unix.ESRCH)
	_, err = unix.Getsid(1<<22 - 1)
	fails(t, err, unix.ESRCH)
}

func procStatus(t *testing.T) map[string]string {
	t.Helper()
	b, err := os.ReadFile("/proc/thread-self/status")
	ok(t, err)
	m := map[string]string{}
	for _, l := range splitLines(string(b)) {
		if k, v, found := cutColon(l); found {
			m[k] = v
		}
	}
	return m
}

func TestCredentials(t *testing.T) {
	covers(t, "setuid", "setgid", "setreuid", "setregid", "setresuid", "setresgid", "getresuid", "getresgid",
		"setfsuid", "setfsgid", "setgroups", "getgroups")
	onThread(t, func() {
		groups := []uint32{7, 8, 9}
		ok(t, threadCall(unix.SYS_SETGROUPS, 3, ptr(&groups[0])))
		got := make([]uint32, 5)
		n, err := call(unix.SYS_GETGROUPS, 5, ptr(&got[0]))
		ok(t, err)
		equal(t, "groups", [4]uint32{uint32(n), got[0], got[1], got[2]}, [4]uint32{3, 7, 8, 9})
		_, err = call(unix.SYS_GETGROUPS, 1, ptr(&got[0]))
		fails(t, err, unix.EINVAL)
		fails(t, threadCall(unix.SYS_SETGROUPS, 1<<17, 0), unix.EINVAL)
		old, err := call(unix.SYS_SETFSGID, 50)
		ok(t, err)
		equal(t, "old fsgid", old, 0)
		old, err = call(unix.SYS_SETFSGID, ^uintptr(0))
		ok(t, err)
		equal(t, "fsgid", old, 50)
		old, err = call(unix.SYS_SETFSUID, 51)
		ok(t, err)
		equal(t, "old fsuid", old, 0)
		ok(t, threadCall(unix.SYS_SETREGID, 10, 11))
		ok(t, threadCall(unix.SYS_SETRESGID, ^uintptr(0), 12, 13))
		var r, e, s uint32
		ok(t, threadCall(unix.SYS_GETRESGID, ptr(&r), ptr(&e), ptr(&s)))
		equal(t, "gids", [3]uint32{r, e, s}, [3]uint32{10, 12, 13})
		ok(t, threadCall(unix.SYS_SETGID, 14))
		ok(t, threadCall(unix.SYS_GETRESGID, ptr(&r), ptr(&e), ptr(&s)))
		equal(t, "gids after setgid as root", [3]uint32{r, e, s}, [3]uint32{14, 14, 14})
		ok(t, threadCall(unix.SYS_SETREUID, 20, 0))
		ok(t, threadCall(unix.SYS_SETRESUID, 21, 22, 0))
		ok(t, threadCall(unix.SYS_GETRESUID, ptr(&r), ptr(&e), ptr(&s)))
		equal(t, "uids", [3]uint32{r, e, s}, [3]uint32{21, 22, 0})
		fails(t, threadCall(unix.SYS_SETUID, 99), unix.EPERM)
		ok(t, threadCall(unix.SYS_SETUID, 0)) // the saved id
		ok(t, threadCall(unix.SYS_GETRESUID, ptr(&r), ptr(&e), ptr(&s)))
		equal(t, "effective", e, 0)
	})
	onThread(t, func() {
		ok(t, threadCall(unix.SYS_SETUID, 30)) // as root: all three, for good
		fails(t, threadCall(unix.SYS_SETUID, 0), unix.EPERM)
		fails(t, threadCall(unix.SYS_SETGID, 40), unix.EPERM)
		fails(t, threadCall(unix.SYS_SETREUID, 0, 0), unix.EPERM)
		fails(t, threadCall(unix.SYS_SETRESUID, 0, 0, 0), unix.EPERM)
		fails(t, threadCall(unix.SYS_SETREGID, 40, 40), unix.EPERM)
		fails(t, threadCall(unix.SYS_SETRESGID, 40, 40, 40), unix.EPERM)
		fails(t, threadCall(unix.SYS_SETGROUPS, 0, 0), unix.EPERM)
		fails(t, threadCall(unix.SYS_GETRESUID, 8, 8, 8), unix.EFAULT)
	})
}

func TestCapabilities(t *testing.T) {
	covers(t, "capget", "capset", "prctl")
	onThread(t, func() {
		h := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		var d [2]unix.CapUserData
		ok(t, threadCall(unix.SYS_CAPGET, ptr(&h), ptr(&d)))
		equal(t, "CAP_CHOWN", d[0].Effective&1, 1)
		d[0].Effective &^= 1
		d[0].Permitted &^= 1
		ok(t, threadCall(unix.SYS_CAPSET, ptr(&h), ptr(&d)))
		d[0].Permitted |= 1
		fails(t, threadCall(unix.SYS_CAPSET, ptr(&h), ptr(&d)), unix.EPERM)
		f, _ := file(t, "")
		fails(t, unix.Chown(f, 1, 1), unix.EPERM)
		bad := unix.CapUserHeader{Version: 1}
		fails(t, threadCall(unix.SYS_CAPGET, ptr(&bad), ptr(&d)), unix.EINVAL)
		equal(t, "the version that is preferred", bad.Version, unix.LINUX_CAPABILITY_VERSION_3)
		ok(t, threadCall(unix.SYS_PRCTL, unix.PR_CAPBSET_DROP, unix.CAP_KILL))
		v, err := call(unix.SYS_PRCTL, unix.PR_CAPBSET_READ, unix.CAP_KILL)
		ok(t, err)
		equal(t, "bounding set", v, 0)
		_, err = call(unix.SYS_PRCTL, unix.PR_CAPBSET_READ, 99)
		fails(t, err, unix.EINVAL)
	})
}

func TestPrctl(t *testing.T) {
	covers(t, "prctl", "personality", "arch_prctl")
	onThread(t, func() {
		name := [16]byte{'n', 'a', 'm', 'e'}
		ok(t, threadCall(unix.SYS_PRCTL, unix.PR_SET_NAME, ptr(&name)))
		var got [16]byte
		ok(t, threadCall(unix.SYS_PRCTL, unix.PR_GET_NAME, ptr(&got)))
		equal(t, "name", got, name)
		comm, err := os.ReadFile("/proc/thread-self/comm")
		ok(t, err)
		equal(t, "comm", string(comm), "name\n")
		// A newline is as good a character as others.
		ok(t, os.WriteFile("/proc/thread-self/comm", []byte("line\n"), 0))
		comm, err = os.ReadFile("/proc/thread-self/comm")
		ok(t, err)
		equal(t, "comm", string(comm), "line\n\n")
		ok(t, threadCall(unix.SYS_PRCTL, unix.PR_SET_DUMPABLE, 1))
		v, err := call(unix.SYS_PRCTL, unix.PR_GET_DUMPABLE)
		ok(t, err)
		equal(t, "dumpable", v, 1)
		_, err = call(unix.SYS_PRCTL, unix.PR_SET_DUMPABLE, 7)
		fails(t, err, unix.EINVAL)
		_, err = call(unix.SYS_PRCTL, 99999)
		fails(t, err, unix.EINVAL)
		ok(t, threadCall(unix.SYS_PRCTL, unix.PR_SET_PDEATHSIG, 10))
		var sig int32
		ok(t, threadCall(unix.SYS_PRCTL, unix.PR_GET_PDEATHSIG, ptr(&sig)))
		equal(t, "death signal", sig, 10)
		ok(t, threadCall(unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		v, err = call(unix.SYS_PRCTL, unix.PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0)
		ok(t, err)
		equal(t, "no_new_privs", v, 1)
		p, err := call(unix.SYS_PERSONALITY, 0xffffffff)
		ok(t, err)
		equal(t, "personality", p, 0)
		_, err = call(unix.SYS_PERSONALITY, 0x0040000) // ADDR_NO_RANDOMIZE
		ok(t, err)
		p, err = call(unix.SYS_PERSONALITY, 0)
		ok(t, err)
		equal(t, "personality", p, 0x0040000)
		var fs uint64
		ok(t, threadCall(unix.SYS_ARCH_PRCTL, 0x1003, ptr(&fs))) // ARCH_GET_FS
		equal(t, "FS is set", fs != 0, true)
		fails(t, threadCall(unix.SYS_ARCH_PRCTL, 0x1002, ^uintptr(0)), unix.EPERM) // ARCH_SET_FS
		fails(t, threadCall(unix.SYS_ARCH_PRCTL, 0x7777, 0), unix.EINVAL)
	})
}

func TestRlimits(t *testing.T) {
	covers(t, "getrlimit", "setrlimit", "prlimit64")
	var l unix.Rlimit
	_, err := call(unix.SYS_GETRLIMIT, unix.RLIMIT_NOFILE, ptr(&l))
	ok(t, err)
	equal(t, "descriptors", l.Max, 4096)
	old := l
	l.Cur = 600
	_, err = call(unix.SYS_SETRLIMIT, unix.RLIMIT_NOFILE, ptr(&l))
	ok(t, err)
	defer unix.Prlimit(0, unix.RLIMIT_NOFILE, &old, nil)
	_, fd := file(t, "")
	fails(t, unix.Dup2(fd, 600), unix.EBADF)
	ok(t, unix.Prlimit(0, unix.RLIMIT_NOFILE, nil, &l))
	equal(t, "as set", l.Cur, 600)
	l.Cur, l.Max = 10, 5
	_, err = call(unix.SYS_SETRLIMIT, unix.RLIMIT_NOFILE, ptr(&l))
	fails(t, err, unix.EINVAL)
	_, err = call(unix.SYS_GETRLIMIT, 99, ptr(&l))
	fails(t, err, unix.EINVAL)
	fails(t, unix.Prlimit(1<<22-1, unix.RLIMIT_NOFILE, nil, &l), unix.ESRCH)
	ok(t, unix.Prlimit(os.Getpid(), unix.RLIMIT_FSIZE, nil, &l))
}

func TestUsage(t *testing.T) {
	covers(t, "getrusage", "times", "sysinfo", "uname", "getcpu")
	var ru unix.Rusage
	for begin := time.Now(); time.Since(begin) < 20*time.Millisecond; {
	}
	ok(t, unix.Getrusage(unix.RUSAGE_SELF, &ru))
	equal(t, "time was used", ru.Utime.Nano()+ru.Stime.Nano() > 0, true)
	equal(t, "memory was used", ru.Maxrss > 100, true)
	ok(t, unix.Getrusage(unix.RUSAGE_THREAD, &ru))
	ok(t, unix.Getrusage(unix.RUSAGE_CHILDREN, &ru))
	fails(t, unix.Getrusage(77, &ru), unix.EINVAL)
	var tms unix.Tms
	ticks, err := unix.Times(&tms)
	ok(t, err)
	equal(t, "ticks", ticks > 0, true)
	var si unix.Sysinfo_t
	ok(t, unix.Sysinfo(&si))
	equal(t, "sysinfo", si.Totalram > 0 && si.Freeram <= si.Totalram && si.Procs > 0 && si.Unit > 0, true)
	var u unix.Utsname
	ok(t, unix.Uname(&u))
	equal(t, "sysname", unix.ByteSliceToString(u.Sysname[:]), "Linux")
	equal(t, "nodename", unix.ByteSliceToString(u.Nodename[:]), "garrison")
	equal(t, "machine", unix.ByteSliceToString(u.Machine[:]), "x86_64")
	_, err = call(unix.SYS_UNAME, 8)
	fails(t, err, unix.EFAULT)
	cpu, node := kept(t, ^uint32(0)), kept(t, ^uint32(0))
	_, err = call(unix.SYS_GETCPU, ptr(cpu), ptr(node), 0)
	ok(t, err)
	equal(t, "cpu and node", *cpu < 4096 && *node < 4096, true)
}

func TestHostname(t *testing.T) {
	covers(t, "sethostname", "setdomainname", "unshare")
	onThread(t, func() {
		ok(t, unix.Unshare(unix.CLONE_NEWUTS))
		ok(t, unix.Sethostname([]byte("elsewhere")))
		ok(t, unix.Setdomainname([]byte("domain")))
		var u unix.Utsname
		ok(t, unix.Uname(&u))
		equal(t, "nodename", unix.ByteSliceToString(u.Nodename[:]), "elsewhere")
		equal(t, "domain", unix.ByteSliceToString(u.Domainname[:]), "domain")
		fails(t, unix.Sethostname(make([]byte, 65)), unix.EINVAL)
		fails(t, unix.Setdomainname(make([]byte, 65)), unix.EINVAL)
		fails(t, unix.Unshare(1), unix.EINVAL)
	})
	h, err := os.Hostname()
	ok(t, err)
	equal(t, "the rest of the process", h, "garrison")
}

func TestGetrandom(t *testing.T) {
	covers(t, "getrandom")
	a, b := make([]byte, 64), make([]byte, 64)
	n, err := unix.Getrandom(a, 0)
	ok(t, err)
	equal(t, "count", n, 64)
	_, err = unix.Getrandom(b, unix.GRND_NONBLOCK)
	ok(t, err)
	equal(t, "two draws are alike", string(a) == string(b), false)
	_, err = unix.Getrandom(a, 0x80)
	fails(t, err, unix.EINVAL)
	_, err = call(unix.SYS_GETRANDOM, 8, 8, 0)
	fails(t, err, unix.EFAULT)
}

func TestPriority(t *testing.T) {
	covers(t, "getpriority", "setpriority")
	onThread(t, func() {
		v, err := call(unix.SYS_GETPRIORITY, unix.PRIO_PROCESS, 0)
		ok(t, err)
		equal(t, "as the call has it", v, 20)
		ok(t, unix.Setpriority(unix.PRIO_PROCESS, 0, 5))
		v, err = call(unix.SYS_GETPRIORITY, unix.PRIO_PROCESS, 0)
		ok(t, err)
		equal(t, "after nice 5", v, 15)
		_, err = unix.Getpriority(9, 0)
		fails(t, err, unix.EINVAL)
		_, err = unix.Getpriority(unix.PRIO_PROCESS, 1<<22-1)
		fails(t, err, unix.ESRCH)
		fails(t, unix.Setpriority(9, 0, 0), unix.EINVAL)
	})
}

func TestScheduling(t *testing.T) {
	covers(t, "sched_yield", "sched_getaffinity", "sched_setaffinity", "sched_getscheduler", "sched_setscheduler",
		"sched_getparam", "sched_setparam", "sched_get_priority_max", "sched_get_priority_min", "sched_rr_get_interval", "sched_getattr", "sched_setattr")
	onThread(t, func() {
		_, err := call(unix.SYS_SCHED_YIELD)
		ok(t, err)
		var set, all unix.CPUSet
		ok(t, unix.SchedGetaffinity(0, &all))
		equal(t, "CPUs", all.Count() > 0, true)
		set.Set(0)
		ok(t, unix.SchedSetaffinity(0, &set))
		var got unix.CPUSet
		ok(t, unix.SchedGetaffinity(0, &got))
		equal(t, "affinity", got, set)
		ok(t, unix.SchedSetaffinity(0, &all))
		fails(t, unix.SchedSetaffinity(0, &unix.CPUSet{}), unix.EINVAL)
		fails(t, unix.SchedGetaffinity(1<<22-1, &got), unix.ESRCH)
		v, err := call(unix.SYS_SCHED_GETSCHEDULER, 0)
		ok(t, err)
		equal(t, "policy", v, 0)
		var param int32
		_, err = call(unix.SYS_SCHED_SETSCHEDULER, 0, unix.SCHED_BATCH, ptr(&param))
		ok(t, err)
		v, err = call(unix.SYS_SCHED_GETSCHEDULER, 0)
		ok(t, err)
		equal(t, "policy", v, unix.SCHED_BATCH)
		_, err = call(unix.SYS_SCHED_GETPARAM, 0, ptr(&param))
		ok(t, err)
		equal(t, "priority", param, 0)
		_, err = call(unix.SYS_SCHED_SETPARAM, 0, ptr(&param))
		ok(t, err)
		bad := int32(5)
		_, err = call(unix.SYS_SCHED_SETPARAM, 0, ptr(&bad))
		fails(t, err, unix.EINVAL)
		_, err = call(unix.SYS_SCHED_SETSCHEDULER, 0, 99, ptr(&param))
		fails(t, err, unix.EINVAL)
		v, err = call(unix.SYS_SCHED_GET_PRIORITY_MAX, unix.SCHED_FIFO)
		ok(t, err)
		equal(t, "FIFO max", v, 99)
		v, err = call(unix.SYS_SCHED_GET_PRIORITY_MIN, unix.SCHED_FIFO)
		ok(t, err)
		equal(t, "FIFO min", v, 1)
		_, err = call(unix.SYS_SCHED_GET_PRIORITY_MAX, 99)
		fails(t, err, unix.EINVAL)
		var ts unix.Timespec
		_, err = call(unix.SYS_SCHED_RR_GET_INTERVAL, 0, ptr(&ts))
		ok(t, err)
		_, err = call(unix.SYS_SCHED_RR_GET_INTERVAL, 1<<22-1, ptr(&ts))
		fails(t, err, unix.ESRCH)
		attr, err := unix.SchedGetAttr(0, 0)
		ok(t, err)
		equal(t, "attr policy", attr.Policy, unix.SCHED_BATCH)
		attr.Policy, attr.Nice = unix.SCHED_NORMAL, 3
		ok(t, unix.SchedSetAttr(0, attr, 0))
		v, err = call(unix.SYS_GETPRIORITY, unix.PRIO_PROCESS, 0)
		ok(t, err)
		equal(t, "nice by attr", v, 17)
	})
}

func TestGetpgidOfGroups(t *testing.T) {
	covers(t, "setpgid", "setsid")
	fails(t, unix.Setpgid(0, -1), unix.EINVAL)
	fails(t, unix.Setpgid(1<<22-1, 0), unix.ESRCH)
	if os.Getpid() == 1 {
		// pid 1 of a container leads its session already.
		_, err := unix.Setsid()
		fails(t, err, unix.EPERM)
		fails(t, unix.Setpgid(0, 0), syscall.EPERM)
	}
}
