package guest

import (
	"os"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// proc is a file of /proc/self.
func proc(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile("/proc/self/" + name)
	ok(t, err)
	return string(b)
}

func TestProcCmdline(t *testing.T) {
	covers(t, "open", "read")
	equal(t, "cmdline", proc(t, "cmdline"), strings.Join(os.Args, "\x00")+"\x00")
}

func TestProcEnviron(t *testing.T) {
	covers(t, "open", "read")
	equal(t, "PATH", strings.Contains("\x00"+proc(t, "environ"), "\x00PATH=/bin\x00"), true)
}

func TestProcLinks(t *testing.T) {
	covers(t, "readlink")
	for name, want := range map[string]string{"exe": "/guest.test", "root": "/", "cwd": "/"} {
		got, err := os.Readlink("/proc/self/" + name)
		ok(t, err)
		if wd, _ := os.Getwd(); name == "cwd" {
			want = wd
		}
		equal(t, name, got, want)
	}
	self, err := os.Readlink("/proc/self")
	ok(t, err)
	equal(t, "self", self, itoa(os.Getpid()))
}

func TestProcStat(t *testing.T) {
	covers(t, "getpid", "getppid", "getpgrp", "getsid")
	line := proc(t, "stat")
	rest := strings.Fields(line[strings.LastIndexByte(line, ')')+1:])
	equal(t, "pid", strings.HasPrefix(line, itoa(os.Getpid())+" ("), true)
	equal(t, "fields", len(rest), 50)
	equal(t, "ppid", rest[1], itoa(os.Getppid()))
	equal(t, "pgrp", rest[2], itoa(unix.Getpgrp()))
	sid, err := unix.Getsid(0)
	ok(t, err)
	equal(t, "session", rest[3], itoa(sid))
}

func TestProcStatm(t *testing.T) {
	covers(t, "mmap")
	pages := func() int { n, _ := strconv.Atoi(strings.Fields(proc(t, "statm"))[0]); return n }
	before := pages()
	mapMemory(t, 0, 512<<20, unix.PROT_NONE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS, -1, 0)
	equal(t, "grown", pages()-before >= 512<<20/4096, true)
}

func TestProcFdinfo(t *testing.T) {
	covers(t, "lseek", "open", "fcntl")
	_, fd := file(t, "0123456789")
	_, err := unix.Seek(fd, 6, 0)
	ok(t, err)
	info := proc(t, "fdinfo/"+itoa(fd))
	equal(t, "pos", findLine(info, "pos:"), "pos:\t6")
	equal(t, "flags", findLine(info, "flags:"), "flags:\t02100002")
	_, err = os.ReadFile("/proc/self/fdinfo/1023")
	equal(t, "no such descriptor", os.IsNotExist(err), true)
}

func TestProcFdLinks(t *testing.T) {
	covers(t, "readlink", "pipe2", "socketpair", "eventfd2", "fstat")
	r, w := newPipe(t, 0)
	s, _ := socketPair(t, unix.SOCK_STREAM)
	e, err := unix.Eventfd(0, 0)
	ok(t, err)
	closeLater(t, e)
	link := func(fd int) string { l, _ := os.Readlink("/proc/self/fd/" + itoa(fd)); return l }
	var st unix.Stat_t
	ok(t, unix.Fstat(r, &st))
	equal(t, "pipe", link(r), "pipe:["+strconv.FormatUint(st.Ino, 10)+"]")
	equal(t, "both ends", link(w), link(r))
	ok(t, unix.Fstat(s, &st))
	equal(t, "socket", link(s), "socket:["+strconv.FormatUint(st.Ino, 10)+"]")
	equal(t, "eventfd", link(e), "anon_inode:[eventfd]")
	ok(t, unix.Lstat("/proc/self/fd/"+itoa(w), &st))
	equal(t, "mode", st.Mode, unix.S_IFLNK|0o300)
}

func TestProcLimits(t *testing.T) {
	covers(t, "getrlimit")
	equal(t, "core", strings.Join(strings.Fields(findLine(proc(t, "limits"), "Max core file size")), " "),
		"Max core file size 0 unlimited bytes")
}

func TestProcMountinfo(t *testing.T) {
	covers(t, "open", "read")
	for _, want := range []string{" / /tmp ", " / /proc ", " / /dev/pts "} {
		equal(t, want, strings.Contains(proc(t, "mountinfo"), want), true)
	}
	for l := range strings.SplitSeq(proc(t, "mountinfo"), "\n") {
		if strings.Contains(l, " / /tmp ") {
			equal(t, "type", strings.Contains(l, " - tmpfs "), true)
			equal(t, "options", strings.Contains(l, "nosuid,nodev"), true)
		}
	}
}

// mapOf is the line of maps that begins where p is.
func mapOf(t *testing.T, p uintptr) []string {
	t.Helper()
	for l := range strings.SplitSeq(proc(t, "maps"), "\n") {
		from, rest, _ := strings.Cut(l, "-")
		if n, err := strconv.ParseUint(from, 16, 64); err == nil && uintptr(n) == p {
			return fields(rest)
		}
	}
	return fields("")
}

func TestProcMapsSplit(t *testing.T) {
	covers(t, "mmap", "mprotect")
	_, fd := file(t, strings.Repeat("x", 3*4096))
	p := mapMemory(t, 0, 3*4096, unix.PROT_READ, unix.MAP_PRIVATE, fd, 0)
	equal(t, "whole", mapOf(t, p)[0], hex(p+3*4096))
	_, err := call(unix.SYS_MPROTECT, p+4096, 4096, unix.PROT_READ|unix.PROT_WRITE)
	ok(t, err)
	for i, perms := range []string{"r--p", "rw-p", "r--p"} {
		m := mapOf(t, p+uintptr(i)*4096)
		equal(t, "end", m[0], hex(p+uintptr(i+1)*4096))
		equal(t, "permissions", m[1], perms)
		equal(t, "offset", m[2], "0000"+itoa(i)+"000")
	}
}

func TestMadviseDontneedOfFile(t *testing.T) {
	covers(t, "madvise", "mmap")
	_, fd := file(t, strings.Repeat("f", 4096))
	p := mapMemory(t, 0, 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE, fd, 0)
	q := mapMemory(t, 0, 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED, fd, 0)
	bytesAt(p, 1)[0], bytesAt(q, 2)[1] = 'p', 's'
	for _, a := range []uintptr{p, q} {
		_, err := call(unix.SYS_MADVISE, a, 4096, unix.MADV_DONTNEED)
		ok(t, err)
	}
	equal(t, "private copy is gone", string(bytesAt(p, 3)), "fsf")
	equal(t, "shared write stays", string(bytesAt(q, 3)), "fsf")
}

func TestMapsUnlinked(t *testing.T) {
	covers(t, "mmap", "unlinkat")
	name, fd := file(t, "x")
	p := mapMemory(t, 0, 4096, unix.PROT_READ, unix.MAP_SHARED, fd, 0)
	equal(t, "name", mapOf(t, p)[5], name)
	ok(t, unix.Unlink(name))
	m := mapOf(t, p)
	equal(t, "name", m[5], name)
	equal(t, "mark", m[6], "(deleted)")
	equal(t, "permissions", m[1], "r--s")
}
