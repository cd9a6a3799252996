package docker

import (
	"os"
	"strings"
	"testing"
)

func testProcess(t *testing.T, e *engine) {
	e.says(0, "uid=7 gid=8 groups=8,9,10", "--user", "7:8", "--group-add", "9", "--group-add", "10", "box", "id")
	e.says(0, "uid=0(root) gid=0 groups=0", "--user", "root", "box", "id")
	e.refuses("unable to find user nosuch", "--user", "nosuch", "box", "id")
	const caps = "grep -E 'CapEff|CapBnd' /proc/self/status | cut -f2"
	e.says(0, "00000000a80425fb\n00000000a80425fb", "box", "sh", "-c", caps)
	e.says(0, "0000000000000000\n0000000000000000", "--cap-drop", "all", "box", "sh", "-c", caps)
	e.says(0, "0000000000200001\n0000000000200001", "--cap-drop", "all", "--cap-add", "chown", "--cap-add", "SYS_ADMIN", "box", "sh", "-c", caps)
	e.says(0, "0000000000000000\n00000000aa0425fb", "--user", "5", "--cap-add", "SYS_TIME", "box", "sh", "-c", caps)
	e.says(1, "", "--cap-drop", "chown", "box", "chown", "5", "/tmp")
	e.says(0, "64 128\n100\n5", "--ulimit", "nofile=64:128", "--ulimit", "nproc=100", "--ulimit", "cpu=5", "box", "sh", "-c", "echo $(ulimit -n) $(ulimit -Hn); ulimit -u; ulimit -t")
	e.says(153, "", "--ulimit", "fsize=1000:2000", "box", "sh", "-c", "dd if=/dev/zero of=/x bs=1k count=9; exit $?") // 128+SIGXFSZ
	e.says(0, "/made/dir\n1\n/x\nhi", "-w", "/made/dir", "-e", "A=1", "-e", "HOME=/x", "--entrypoint", "sh", "box", "-c", "pwd; echo $A; echo $HOME; echo hi")
	e.says(0, "300", "--oom-score-adj", "300", "box", "cat", "/proc/self/oom_score_adj")
	e.says(0, "NoNewPrivs:\t1", "--security-opt", "no-new-privileges", "box", "grep", "NoNewPrivs", "/proc/self/status")
}

func testSeccomp(t *testing.T, e *engine) {
	const mode = "grep Seccomp: /proc/self/status | cut -f2"
	e.says(0, "2", "box", "sh", "-c", mode)
	e.says(0, "0", "--security-opt", "seccomp=unconfined", "box", "sh", "-c", mode)
	// Docker's own profile takes away what no capability is needed for.
	e.says(1, "", "box", "unshare", "-U", "true")
	e.says(0, "", "--security-opt", "seccomp=unconfined", "box", "unshare", "-U", "true")
	e.says(0, "", "--cap-add", "SYS_ADMIN", "box", "unshare", "-U", "true")
	profile := write(t, t.TempDir(), "profile.json", `{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
		{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 5},
		{"names": ["chmod", "fchmodat"], "action": "SCMP_ACT_KILL_PROCESS"}]}`)
	id := e.start("--security-opt", "seccomp="+profile, "box", "sleep", "1000")
	for _, args := range [][]string{{"run", "--rm", "--network=none", "--security-opt", "seccomp=" + profile, "box"}, {"exec", id}} {
		e.expect(1, "Input/output error", append(args, "mkdir", "/d")...)
		e.expect(159, "", append(args, "chmod", "1", "/tmp")...) // 128+SIGSYS
	}
	bad := write(t, t.TempDir(), "bad.json", `{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mkdir"], "action": "SCMP_ACT_NOSUCH"}]}`)
	e.refuses("SCMP_ACT_NOSUCH is not a valid action for seccomp", "--security-opt", "seccomp="+bad, "box", "true")
}

func testNamespaces(t *testing.T, e *engine) {
	e.says(0, "foo\nfoo\nexample.org", "--hostname", "foo", "--domainname", "example.org", "box", "sh", "-c", "hostname; cat /etc/hostname /proc/sys/kernel/domainname")
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	e.says(0, host, "--uts=host", "box", "hostname")
	e.says(0, "lo", "box", "sh", "-c", "ls /sys/class/net")
	e.says(0, "123456\n5000", "--sysctl", "kernel.shmmax=123456", "--sysctl", "kernel.msgmax=5000", "box", "cat", "/proc/sys/kernel/shmmax", "/proc/sys/kernel/msgmax")
	e.says(0, "1\n99", "--sysctl", "net.ipv4.ip_forward=1", "--sysctl", "net.core.somaxconn=99", "box", "cat", "/proc/sys/net/ipv4/ip_forward", "/proc/sys/net/core/somaxconn")
	e.refuses("kernel.hostname", "--sysctl", "kernel.hostname=x", "box", "true")
	for _, ipc := range []string{"private", "shareable"} {
		e.says(0, "3072", "--ipc="+ipc, "--shm-size=3m", "box", "sh", "-c", "df -Pk /dev/shm | tail -n 1 | awk '{print $2}'")
	}
	e.says(1, "", "--ipc=none", "box", "ls", "/dev/shm")
	// What another container has.
	id := e.start("--ipc=shareable", "box", "sh", "-c", "echo shared >/dev/shm/f; exec sleep 1000")
	e.eventually("shared", "exec", id, "cat", "/dev/shm/f")
	e.says(0, "shared", "--ipc=container:"+id, "box", "cat", "/dev/shm/f")
	e.says(0, "sleep 1000", "--pid=container:"+id, "box", "sh", "-c", "ps -o args | grep '^sleep'")
	// What a sandbox can't have, and runc gives.
	for _, c := range []struct{ flag, why string }{
		{"--pid=host", "the host's pid namespace is not supported"},
		{"--ipc=host", "the host's ipc namespace is not supported"},
	} {
		if native() {
			e.says(0, "", c.flag, "box", "true")
		} else {
			e.refuses(c.why, c.flag, "box", "true")
		}
	}
	// The host's network is the one that dockerd is in.
	links, err := os.ReadDir("/sys/class/net")
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range links {
		e.expect(0, "\n "+l.Name()+":", "run", "--rm", "--network=host", "box", "sh", "-c", "echo; sed 's/^ */ /' /proc/net/dev")
	}
}

func testPrivileged(t *testing.T, e *engine) {
	if native() {
		return // runc fails where the host's root has not got every capability
	}
	e.says(0, "0000003fffffffff\nok", "--privileged", "box", "sh", "-c", "grep CapEff /proc/self/status | cut -f2; mount -t tmpfs x /tmp && echo ok")
	e.says(0, "0000003fffffffff", "--cap-add", "all", "box", "sh", "-c", "grep CapEff /proc/self/status | cut -f2")
}

func testDevices(t *testing.T, e *engine) {
	e.says(0, "0", "--device", "/dev/null:/dev/foo", "box", "sh", "-c", "echo x > /dev/foo; echo $?")
	e.says(0, "4", "--device", "/dev/zero:/dev/z:r", "box", "sh", "-c", "head -c 4 /dev/z | wc -c")
	e.says(1, "", "--device", "/dev/full", "box", "sh", "-c", "echo x > /dev/full")
	if r := e.do(nil, "run", "--rm", "--network=none", "--device", "/dev/nosuch", "box", "true"); r.code == 0 || !strings.Contains(r.err, "/dev/nosuch") {
		t.Errorf("%+v", r)
	}
}
