package oci

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// debianRoot is a root file system with perl, by make root.
const debianRoot = "/var/cache/garrison/bookworm"

// onPlatforms runs a test on each platform, or under runc.
func onPlatforms(t *testing.T, test func(t *testing.T, flags []string)) {
	if native {
		test(t, nil)
		return
	}
	for _, name := range []string{"systrap", "ptrace"} {
		t.Run(name, func(t *testing.T) { test(t, []string{"--platform=" + name}) })
	}
}

// hostNames is what the host's ps(1) shows of the container's processes: names and
// arguments.
func (b *box) hostNames() (names []string) {
	b.t.Helper()
	var pids []int
	if out := b.must("ps", "--format", "json", b.id); json.Unmarshal([]byte(out), &pids) != nil {
		b.t.Fatalf("ps: %q", out)
	}
	for _, pid := range pids {
		out, err := exec.Command("ps", "-o", "comm=,args=", "-p", strconv.Itoa(pid)).CombinedOutput()
		if err != nil {
			b.t.Logf("ps: %v: %s", err, out)
		}
		names = append(names, strings.Join(strings.Fields(string(out)), " "))
	}
	slices.Sort(names)
	return names
}

// showsNames waits until the host shows want, sorted.
func (b *box) showsNames(want ...string) {
	b.t.Helper()
	var got []string
	defer func() {
		if b.t.Failed() {
			b.t.Logf("the host shows %q, want %q", got, want)
		}
	}()
	eventually(b.t, fmt.Sprintf("names %q", want), func() bool {
		got = b.hostNames()
		return slices.Equal(got, want)
	})
}

func TestHostShowsNames(t *testing.T) {
	onPlatforms(t, func(t *testing.T, flags []string) {
		b := newBox(t, sh("sleep 1001 & (sleep 1002; :) & printf renamed > /proc/self/comm; wait"), func(s *specs.Spec) {
			s.Process.Args = append(s.Process.Args, "sh", "an argument")
		})
		b.must(append(flags, "run", "--detach", b.id)...)
		init := "/bin/sh -c " + b.config().Process.Args[2] + " sh an argument"
		want := []string{"renamed " + init, "sh " + init, "sleep sleep 1001", "sleep sleep 1002"}
		b.showsNames(want...)
		// What another process starts is of the same list.
		file := filepath.Join(t.TempDir(), "pid")
		b.must("exec", "--detach", "--pid-file", file, b.id, "sleep", "1003")
		b.showsNames(append(want, "sleep sleep 1003")...)
		data, _ := os.ReadFile(file)
		pid, _ := strconv.Atoi(string(data))
		if err := unix.Kill(pid, unix.SIGKILL); err != nil {
			t.Fatal(err)
		}
		b.reap(pid)
		b.showsNames(want...)
	})
}

// The host's pids are of processes, not of threads; and each thread has its name.
func TestHostShowsThreads(t *testing.T) {
	onPlatforms(t, func(t *testing.T, flags []string) {
		const script = `import threading, time
def run():
    open("/proc/thread-self/comm", "w").write("worker")
    time.sleep(1000)
threading.Thread(target=run).start()
time.sleep(1000)`
		b := debianBox(t, "python3", "-c", script)
		b.must(append(flags, "run", "--detach", b.id)...)
		var got []string
		eventually(t, "a thread's name", func() bool {
			var pids []int
			if out := b.must("ps", "--format", "json", b.id); json.Unmarshal([]byte(out), &pids) != nil || len(pids) != 1 {
				t.Fatalf("ps: %s", out)
			}
			got = nil
			comms, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/comm", pids[0]))
			for _, name := range comms {
				comm, _ := os.ReadFile(name)
				got = append(got, strings.TrimSpace(string(comm)))
			}
			return slices.Equal(got, []string{"python3", "worker"})
		})
	})
}

// A program that writes over its arguments while nobody looks is shown as it now
// calls itself, even if it sleeps.
func TestHostShowsTitles(t *testing.T) {
	onPlatforms(t, func(t *testing.T, flags []string) {
		b := debianBox(t, "perl", "-e", `$0 = "a title"; sleep 1000`)
		b.must(append(flags, "run", "--detach", b.id)...)
		b.showsNames("a title a title")
	})
}

// debianBox is newBox for what busybox has not got.
func debianBox(t *testing.T, args ...string) *box {
	t.Helper()
	if _, err := os.Stat(debianRoot + "/usr/bin/perl"); err != nil {
		t.Skipf("%v: make root", err)
	}
	return newBox(t, args, func(s *specs.Spec) { s.Root.Path, s.Root.Readonly = debianRoot, true })
}

// Each container of a pod has its own processes.
func TestHostShowsPod(t *testing.T) {
	pod := newPod(t, nil)
	m := pod.member([]string{"sleep", "1004"}, nil)
	m.must("run", "--detach", m.id)
	m.showsNames("sleep sleep 1004")
	pod.showsNames("sleep sleep 1000")
}
