// Command bench measures the same work under several OCI runtimes, in turn, and
// prints medians side by side.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// A runtime is one of those compared.
type runtime struct {
	name  string
	path  string
	flags []string
}

func main() {
	log.SetFlags(0)
	rounds := flag.Int("rounds", 7, "how often each is measured")
	flag.String("root", "", "the Debian root filesystem (not needed yet)")
	ours := flag.String("runsc", "bin/runsc", "Garrison's runsc")
	peer := flag.String("peer", "/usr/bin/runsc", "gVisor's runsc")
	peerPlatform := flag.String("peer-platform", "ptrace", "gVisor's platform")
	flag.Parse()

	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if err := prepare(dir); err != nil {
		log.Fatal(err)
	}
	var rs []runtime
	for _, r := range []runtime{
		{"runc", "runc", nil},
		{"gVisor " + *peerPlatform, *peer, []string{"--platform=" + *peerPlatform, "--network=none", "--ignore-cgroups"}},
		{"Garrison ptrace", *ours, []string{"--platform=ptrace"}},
	} {
		if p, err := exec.LookPath(r.path); err == nil {
			r.path, _ = filepath.Abs(p)
			rs = append(rs, r)
		} else {
			fmt.Printf("%s: left out: %v\n", r.name, err)
		}
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(w, "\t")
	for _, r := range rs {
		fmt.Fprintf(w, "%s\t", r.name)
	}
	fmt.Fprintln(w)
	for _, line := range []struct {
		what    string
		measure func(runtime, string) (float64, error)
		rounds  int
	}{
		{"run hello, ms", hello, 3 * *rounds},
		{"getpid, ns", getpid, *rounds},
		{"idle sandbox, PSS MiB", idle, *rounds},
	} {
		got := make([][]float64, len(rs))
		for range line.rounds {
			for i, r := range rs {
				v, err := line.measure(r, dir)
				if err != nil {
					log.Fatalf("%s under %s: %v", line.what, r.name, err)
				}
				got[i] = append(got[i], v)
			}
		}
		fmt.Fprintf(w, "%s\t", line.what)
		for i := range rs {
			fmt.Fprintf(w, "%.1f\t", median(got[i]))
		}
		fmt.Fprintln(w)
	}
	w.Flush()
}

func median(v []float64) float64 {
	slices.Sort(v)
	return v[len(v)/2]
}

// prepare makes a bundle whose root holds the probe alone.
func prepare(dir string) error {
	root := filepath.Join(dir, "rootfs")
	for _, d := range []string{"proc", "dev", "tmp"} {
		if err := os.MkdirAll(filepath.Join(root, d), 0o755); err != nil {
			return err
		}
	}
	build := exec.Command("go", "build", "-o", filepath.Join(root, "probe"), "./test/bench/probe")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %v\n%s", err, out)
	}
	return nil
}

var serial int

// command is one run of the probe in a fresh container.
func command(r runtime, dir, mode string) (*exec.Cmd, string, error) {
	config, err := json.Marshal(&specs.Spec{
		Version: "1.0.2",
		Process: &specs.Process{Args: []string{"/probe", mode}, Cwd: "/", Env: []string{"PATH=/"}},
		Root:    &specs.Root{Path: "rootfs"},
		Mounts:  []specs.Mount{{Destination: "/proc", Type: "proc", Source: "proc"}},
		Linux: &specs.Linux{Namespaces: []specs.LinuxNamespace{
			{Type: "pid"}, {Type: "network"}, {Type: "ipc"}, {Type: "uts"}, {Type: "mount"}}},
	})
	if err != nil {
		return nil, "", err
	}
	if err := os.WriteFile(filepath.Join(dir, "config.json"), config, 0o644); err != nil {
		return nil, "", err
	}
	serial++
	id := fmt.Sprintf("bench-%d-%d", os.Getpid(), serial)
	args := append([]string{"--root", filepath.Join(dir, "state")}, r.flags...)
	cmd := exec.Command(r.path, append(args, "run", "--bundle", dir, id)...)
	cmd.Stderr = os.Stderr
	return cmd, id, nil
}

func hello(r runtime, dir string) (float64, error) {
	cmd, _, err := command(r, dir, "hello")
	if err != nil {
		return 0, err
	}
	begin := time.Now()
	out, err := cmd.Output()
	if err == nil && string(out) != "hello\n" {
		err = fmt.Errorf("printed %q", out)
	}
	return float64(time.Since(begin).Microseconds()) / 1000, err
}

func getpid(r runtime, dir string) (ns float64, err error) {
	cmd, _, err := command(r, dir, "getpid")
	if err != nil {
		return 0, err
	}
	out, err := cmd.Output()
	if err != nil {
		return 0, err
	}
	_, err = fmt.Sscan(string(out), &ns)
	return ns, err
}

// idle is the proportional set size of every process that the run started, the
// runtime's own foreground process left out.
func idle(r runtime, dir string) (mib float64, err error) {
	before := processes()
	cmd, id, err := command(r, dir, "idle")
	if err != nil {
		return 0, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return 0, err
	}
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	defer func() {
		args := append([]string{"--root", filepath.Join(dir, "state")}, r.flags...)
		exec.Command(r.path, append(args, "delete", "--force", id)...).Run()
		cmd.Wait()
	}()
	if _, err := out.Read(make([]byte, 16)); err != nil {
		return 0, err
	}
	time.Sleep(500 * time.Millisecond)
	for pid := range processes() {
		if !before[pid] && pid != fmt.Sprint(cmd.Process.Pid) {
			mib += pss(pid)
		}
	}
	return mib, nil
}

func processes() map[string]bool {
	m := map[string]bool{}
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for _, d := range dirs {
		m[filepath.Base(d)] = true
	}
	return m
}

func pss(pid string) float64 {
	b, _ := os.ReadFile("/proc/" + pid + "/smaps_rollup")
	for l := range strings.SplitSeq(string(b), "\n") {
		var kib float64
		if n, _ := fmt.Sscanf(l, "Pss: %f kB", &kib); n == 1 {
			return kib / 1024
		}
	}
	return 0
}
