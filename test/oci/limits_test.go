package oci

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

func ptr[T any](v T) *T { return &v }

// limited is a box that sleeps, in a cgroup with limits; nil is none.
func limited(t *testing.T, r *specs.LinuxResources) *box {
	t.Helper()
	return newBox(t, []string{"sleep", "1000"}, func(s *specs.Spec) {
		if r != nil && s.Linux.Resources != nil {
			r.Devices = s.Linux.Resources.Devices
		}
		s.Linux.Resources = r
		s.Mounts = slices.DeleteFunc(s.Mounts, func(m specs.Mount) bool { return m.Type == "cgroup" })
		s.Mounts = append(s.Mounts, specs.Mount{Destination: "/sys/fs/cgroup", Type: "cgroup", Source: "cgroup", Options: []string{"ro"}})
	})
}

func memoryLimit(n int64) *specs.LinuxMemory { return &specs.LinuxMemory{Limit: &n, Swap: &n} }

// hostLimit is the content of a file of the cgroup that the container is in on the
// host, "" if that has not got the controller.
func (b *box) hostLimit(controller, v1, v2 string) string {
	b.t.Helper()
	data, err := os.ReadFile("/proc/" + strconv.Itoa(b.state().PID) + "/cgroup")
	if err != nil {
		b.t.Fatal(err)
	}
	for _, line := range strings.Split(strings.TrimSpace(string(data)), "\n") {
		f := strings.SplitN(line, ":", 3)
		name := filepath.Join("/sys/fs/cgroup", controller, f[2], v1)
		switch {
		case f[1] == "":
			name = filepath.Join("/sys/fs/cgroup", f[2], v2)
		case !strings.Contains(","+f[1]+",", ","+controller+","):
			continue
		}
		if text, err := os.ReadFile(name); err == nil {
			return strings.TrimSpace(string(text))
		}
	}
	return ""
}

// inGroup is a command line for the shell, run in the directory of a controller where
// the container sees the hierarchies of version 1.
func inGroup(controller, script string) []string {
	return sh("cd /sys/fs/cgroup; test ! -d " + controller + " || cd " + controller + "; " + script)
}

// fill starts processes until it can't, and says what the pids controller says.
const fill = `(i=0; while [ $i -lt 30 ]; do sleep 100 >/dev/null & i=$((i+1)); done) 2>/dev/null
read now <pids.current; read refused <pids.events; read max <pids.max; echo $now $refused of $max`

func TestPidsLimit(t *testing.T) {
	b := limited(t, &specs.LinuxResources{Pids: &specs.LinuxPids{Limit: ptr[int64](20)}})
	s := b.config()
	s.Process.Args = inGroup("pids", fill)
	b.save(s)
	// The shell, and 18 that its subshell, which has ended, has started.
	if r := b.run(""); r.code != 0 || r.out != "19 max 1 of 20\n" {
		t.Errorf("%+v", r)
	}
}

func TestUpdatePids(t *testing.T) {
	b := limited(t, &specs.LinuxResources{Pids: &specs.LinuxPids{Limit: ptr[int64](100)}})
	b.must("run", "--detach", b.id)
	b.must("update", "--pids-limit", "20", b.id)
	r := b.do("", append([]string{"exec", b.id}, inGroup("pids", fill)...)...)
	if r.out != "19 max 1 of 20\n" {
		t.Errorf("after less: %+v", r)
	}
	b.must("update", "--pids-limit", "-1", b.id)
	b.must("exec", b.id, "sh", "-c", "sleep 0.01 & wait")
	if !native {
		// More than may be from now on: they stay, and the sandbox has room for them.
		b.must("update", "--pids-limit", "5", b.id)
		if r := b.do("", append([]string{"exec", b.id}, inGroup("pids", "sleep 1; true")...)...); r.code == 0 || !strings.Contains(r.err, "can't fork") {
			t.Errorf("above the limit: %+v", r)
		}
		if n := b.hostLimit("pids", "pids.max", "pids.max"); n == "max" || n == "5" {
			t.Errorf("pids.max is %s on the host", n)
		}
	}
}

// hog uses some 100 MB of memory, a bit at a time.
var hog = []string{"awk", `BEGIN{for(i=0;i<250000;i++)a[i]=sprintf("%400s",i)}`}

const mebibyte = 1 << 20

func TestUpdateMemory(t *testing.T) {
	b := limited(t, &specs.LinuxResources{Memory: memoryLimit(64 * mebibyte)})
	b.must("run", "--detach", b.id)
	exec := func(args ...string) result { return b.do("", append([]string{"exec", b.id}, args...)...) }
	if r := exec(hog...); r.code != 137 {
		t.Errorf("above the limit: %+v", r)
	}
	b.must("update", "--memory", "512m", "--memory-swap", "512m", b.id)
	if r := exec(hog...); r.code != 0 {
		t.Errorf("below the limit: %+v", r)
	}
	shown := inGroup("memory", "cat memory.max memory.limit_in_bytes 2>/dev/null; true")
	if r := exec(shown...); r.out != strconv.Itoa(512*mebibyte)+"\n" {
		t.Errorf("limit inside: %+v", r)
	}
	limit, _ := strconv.Atoi(b.hostLimit("memory", "memory.limit_in_bytes", "memory.max"))
	if room := limit - 512*mebibyte; room < 0 || room == 0 != native {
		t.Errorf("limit on the host: %d", limit)
	}
	// What is in use can't be taken away, and then nothing has changed.
	b.must("exec", b.id, "dd", "if=/dev/zero", "of=/dev/shm/x", "bs=1M", "count=40")
	if r := b.do("", "update", "--memory", "20m", "--memory-swap", "20m", b.id); r.code == 0 || !native && !strings.Contains(r.err, "unable to set memory limit to 20971520") {
		t.Errorf("below what is in use: %+v", r)
	}
	if !native { // runc leaves half
		if r := exec(shown...); r.out != strconv.Itoa(512*mebibyte)+"\n" {
			t.Errorf("after the failure: %+v", r)
		}
		if got, _ := strconv.Atoi(b.hostLimit("memory", "memory.limit_in_bytes", "memory.max")); got != limit {
			t.Errorf("on the host after the failure: %d", got)
		}
	}
	b.must("exec", b.id, "rm", "/dev/shm/x")
	b.must("update", "--memory", "64m", "--memory-swap", "64m", b.id)
	if r := exec(hog...); r.code != 137 {
		t.Errorf("above the limit again: %+v", r)
	}
	b.must("update", "--memory", "-1", b.id)
	if r := exec(hog...); r.code != 0 {
		t.Errorf("without a limit: %+v", r)
	}
}

func TestUpdateCPU(t *testing.T) {
	b := limited(t, &specs.LinuxResources{CPU: &specs.LinuxCPU{Cpus: "0", Shares: ptr[uint64](512)}})
	b.must("run", "--detach", b.id)
	text := func(args ...string) string {
		return strings.TrimSpace(b.do("", append([]string{"exec", b.id}, args...)...).out)
	}
	where := []string{"sh", "-c", "nproc; grep Cpus_allowed_list /proc/self/status"}
	if got := text(where...); got != "1\nCpus_allowed_list:\t0" {
		t.Errorf("at first: %q", got)
	}
	online, _ := os.ReadFile("/proc/cpuinfo")
	all := strings.Count(string(online), "processor\t")
	if got := text("grep", "-c", "^processor", "/proc/cpuinfo"); got != strconv.Itoa(all) {
		t.Errorf("/proc/cpuinfo has %s processors", got)
	}
	if all > 1 {
		b.must("update", "--cpuset-cpus", "1", b.id)
		if got := text(where...); got != "1\nCpus_allowed_list:\t1" {
			t.Errorf("then: %q", got)
		}
		b.must("update", "--cpuset-cpus", "0-1", b.id)
		if got := text(where...); got != "2\nCpus_allowed_list:\t0-1" {
			t.Errorf("at last: %q", got)
		}
	}
	b.must("update", "--cpu-period", "50000", "--cpu-quota", "25000", "--cpu-share", "256", b.id)
	if q := b.hostLimit("cpu", "cpu.cfs_quota_us", "cpu.max"); q != "25000" && q != "25000 50000" {
		t.Errorf("quota on the host: %q", q)
	}
	max := text(inGroup("cpu", "cat cpu.max 2>/dev/null || echo $(cat cpu.cfs_quota_us cpu.cfs_period_us)")...)
	if max != "25000 50000" {
		t.Errorf("cpu.max: %q", max)
	}
	pidFile := filepath.Join(t.TempDir(), "pid")
	b.must("exec", "--detach", "--pid-file", pidFile, b.id, "sh", "-c", "while :; do :; done")
	b.must("update", "--cpu-period", "100000", "--cpu-quota", "5000", b.id)
	eventually(t, "throttling", func() bool { return b.stats().Data.CPU.Throttling.ThrottledPeriods > 0 })
	b.must("update", "--cpu-quota", "-1", b.id)
	data, _ := os.ReadFile(pidFile)
	pid, _ := strconv.Atoi(string(data))
	if err := unix.Kill(pid, unix.SIGKILL); err != nil {
		t.Error(err)
	}
	b.reap(pid)
	if q := b.hostLimit("cpu", "cpu.cfs_quota_us", "cpu.max"); q != "-1" && q != "max 100000" {
		t.Errorf("quota on the host: %q", q)
	}
}

func TestUpdateResources(t *testing.T) {
	b := limited(t, &specs.LinuxResources{Pids: &specs.LinuxPids{Limit: ptr[int64](50)}, Memory: memoryLimit(128 * mebibyte)})
	b.must("create", b.id)
	shown := inGroup("pids", "cat pids.max")
	file := filepath.Join(t.TempDir(), "resources")
	if err := os.WriteFile(file, []byte(`{"pids":{"limit":33},"memory":{"limit":0},"other":{}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	b.must("update", "--resources", file, b.id) // before it is started
	b.must("start", b.id)
	if r := b.do("", append([]string{"exec", b.id}, shown...)...); r.out != "33\n" {
		t.Errorf("from a file: %+v", r)
	}
	if r := b.do(`{"pids":{"limit":44}}`, "update", "-r", "-", b.id); r.code != 0 {
		t.Errorf("from standard input: %+v", r)
	}
	if r := b.do("", append([]string{"exec", b.id}, shown...)...); r.out != "44\n" {
		t.Errorf("from standard input: %+v", r)
	}
	b.must("update", b.id) // nothing: fine
	if err := os.WriteFile(file, []byte(`{"pids":`), 0o600); err != nil {
		t.Fatal(err)
	}
	if r := b.do("", "update", "--resources", file, b.id); r.code != 1 {
		t.Errorf("half a file: %+v", r)
	}
}

func TestUpdateErrors(t *testing.T) {
	b := limited(t, &specs.LinuxResources{CPU: &specs.LinuxCPU{Shares: ptr[uint64](512)}, Memory: memoryLimit(64 * mebibyte)})
	b.must("run", "--detach", b.id)
	for _, c := range []struct {
		want string
		args []string
	}{
		{"invalid value for memory", []string{"--memory", "abc", b.id}},
		{"invalid value for cpu-period", []string{"--cpu-period", "-5", b.id}},
		{"cpu.cfs_period_us: invalid argument", []string{"--cpu-period", "5", b.id}},
		{"numerical result out of range", []string{"--cpuset-cpus", "4000", b.id}},
		{"no such file or directory", []string{"--resources", "/none", b.id}},
		{"unable to set memory limit to 4096", []string{"--memory", "4096", b.id}},
		{"Intel RDT/CAT: l3 cache schema is not enabled", []string{"--l3-cache-schema", "L3:0=f", b.id}},
		{"container does not exist", []string{"--memory", "1g", "nosuch"}},
		{"arg", nil},
	} {
		if r := b.do("", append([]string{"update"}, c.args...)...); r.code != 1 || !strings.Contains(r.words(), c.want) {
			t.Errorf("%v: %+v", c.args, r)
		}
	}
	b.must("kill", b.id, "KILL")
	b.await("stopped")
	if r := b.do("", "update", "--pids-limit", "5", b.id); r.code != 1 || !strings.Contains(r.err, "container not running") {
		t.Errorf("of a stopped one: %+v", r)
	}
}

// Without a cgroup on the host the sandbox's own kernel does what it can.
func TestUpdateWithoutCgroup(t *testing.T) {
	ours(t)
	b := limited(t, nil)
	b.must("run", "--detach", b.id)
	b.must("update", "--memory", "64m", "--pids-limit", "20", b.id)
	if r := b.do("", append([]string{"exec", b.id}, hog...)...); r.code != 137 {
		t.Errorf("above the limit: %+v", r)
	}
	if r := b.do("", "exec", b.id, "sh", "-c", "cd /sys/fs/cgroup; "+fill); r.out != "19 max 1 of 20\n" {
		t.Errorf("tasks: %+v", r)
	}
	if r := b.do("", "update", "--cpu-quota", "5000", b.id); r.code != 1 || !strings.Contains(r.err, "has no cgroup on the host") {
		t.Errorf("quota: %+v", r)
	}
}
