package oci

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// rounds is how often TestKills kills something: short, or what $GARRISON_CRASH says
// (make crash).
func rounds(t *testing.T, short int) int {
	s := os.Getenv("GARRISON_CRASH")
	if s == "" {
		return short
	}
	n, err := strconv.Atoi(s)
	if err != nil || n <= 0 {
		t.Fatalf("GARRISON_CRASH=%q: must be a number of rounds", s)
	}
	return n
}

// grouped gives a container cgroups of its own.
func grouped(s *specs.Spec) {
	pids := int64(100)
	s.Linux.Resources = &specs.LinuxResources{Pids: &specs.LinuxPids{Limit: &pids}}
}

// TestMany starts containers side by side, eight at a time, and deletes them.
func TestMany(t *testing.T) {
	many := 16
	if rounds(t, 0) > 0 {
		many = 100
	}
	b := newBox(t, []string{"sleep", "1000"}, grouped)
	slots := make(chan struct{}, 8)
	var all sync.WaitGroup
	for n := range many {
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			id := b.id + "-" + strconv.Itoa(n)
			for _, args := range [][]string{{"create", id}, {"start", id}, {"exec", id, "true"}, {"kill", id, "KILL"}, {"delete", "--force", id}} {
				out, err := b.output(args...)
				if err != nil {
					t.Errorf("%v: %v: %s", args, err, out)
				}
			}
		})
	}
	all.Wait()
	b.checkGone()
	checkChildless(t)
}

// output runs a command and returns what it says. It may be called from anywhere.
func (b *box) output(args ...string) ([]byte, error) {
	f, err := os.CreateTemp(filepath.Dir(b.bundle), "out")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	defer os.Remove(f.Name())
	cmd := b.command(args...)
	cmd.Stdout, cmd.Stderr = f, f
	err = cmd.Run()
	out, _ := os.ReadFile(f.Name())
	return out, err
}

// An attempt is a command that something is killed during, and those that bring the
// container to where it can be given. The id follows the command's first words.
type attempt struct {
	before  [][]string
	command []string
	then    []string // what follows the id
	stays   bool     // it does not end before the container does
}

var detached = [][]string{{"run", "--detach"}}

var attempts = []attempt{
	{command: []string{"create"}},
	{command: []string{"run", "--detach"}},
	{command: []string{"run"}, stays: true},
	{before: [][]string{{"create"}}, command: []string{"start"}},
	{before: [][]string{{"create"}}, command: []string{"delete"}},
	{before: detached, command: []string{"exec"}, then: []string{"sh", "-c", "for i in 1 2 3; do true & done; wait"}},
	{before: detached, command: []string{"exec", "--detach"}, then: []string{"sleep", "1000"}},
	{before: detached, command: []string{"kill"}, then: []string{"KILL"}},
	{before: detached, command: []string{"ps"}},
	{before: detached, command: []string{"pause"}},
	{before: append(slices.Clone(detached), []string{"pause"}), command: []string{"resume"}},
	{before: detached, command: []string{"delete", "--force"}},
}

// TestKills kills a process of ours, any, at any moment of any command: what is left,
// delete --force removes completely.
func TestKills(t *testing.T) {
	ours(t)
	seed := uint64(time.Now().UnixNano())
	r := rand.New(rand.NewPCG(seed, 0))
	for n := range rounds(t, len(attempts)) {
		a := &attempts[n%len(attempts)]
		b := newBox(t, []string{"sleep", "1000"}, grouped)
		killed := b.attempt(a, r)
		if t.Failed() {
			t.Fatalf("round %d, seed %d: %v, %s", n, seed, a.command, killed)
		}
	}
}

// attempt makes a, kills something after a while, and asserts that nothing is left of
// the container once it is deleted. It returns what it has done.
func (b *box) attempt(a *attempt, r *rand.Rand) (done string) {
	for _, args := range a.before {
		b.must(append(slices.Clone(args), b.id)...)
	}
	cmd := b.command(append(append(slices.Clone(a.command), b.id), a.then...)...)
	b.start(cmd)
	// As long as the slowest of them takes, with all of ours begun in it.
	delay := time.Duration(r.Int64N(int64(80 * time.Millisecond)))
	time.Sleep(delay)
	if all := descendants(os.Getpid()); len(all) > 0 {
		victim := all[r.IntN(len(all))]
		_ = unix.Kill(victim.pid, unix.SIGKILL)
		done = fmt.Sprintf("killed %s after %v", victim, delay)
	}
	if a.stays {
		b.deleted()
	}
	b.ends(cmd)
	b.deleted()
	b.checkGone()
	checkChildless(b.t)
	return done
}

// TestKilledAt kills runsc right after it has made, renamed or removed something for
// the nth time: between what it does and what it writes down.
func TestKilledAt(t *testing.T) {
	ours(t)
	step := 4
	if rounds(t, 0) > 0 {
		step = 1
	}
	killed := 0
	for _, c := range []struct {
		before   [][]string
		command  []string
		call     string
		from, to int // which of those calls
	}{
		{nil, []string{"create"}, "mkdirat", 2, 12},
		{nil, []string{"create"}, "renameat", 1, 4},
		{detached, []string{"delete", "--force"}, "renameat", 1, 1},
		{detached, []string{"delete", "--force"}, "unlinkat", 3, 19},
	} {
		for n := c.from; n <= c.to; n += step {
			b := newBox(t, []string{"sleep", "1000"}, grouped)
			for _, args := range c.before {
				b.must(append(slices.Clone(args), b.id)...)
			}
			if b.killAt(c.call, n, append(slices.Clone(c.command), b.id)...) {
				killed++
			}
			b.deleted()
			b.checkGone()
			checkChildless(t)
			if t.Failed() {
				t.Fatalf("%v, killed after %s %d", c.command, c.call, n)
			}
		}
	}
	if killed < 3 {
		t.Errorf("only %d commands were killed", killed)
	}
}

// killAt runs a command that strace(1) kills after the nth call of one of its threads.
// It reports whether that came before the command's end.
func (b *box) killAt(call string, n int, args ...string) bool {
	b.t.Helper()
	cmd := b.command(args...)
	flags := []string{"strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=" + call, "-e", fmt.Sprintf("inject=%s:signal=KILL:when=%d", call, n)}
	strace, err := exec.LookPath(flags[0])
	if err != nil {
		b.t.Fatalf("%v: test/deps installs it", err)
	}
	cmd.Path, cmd.Args = strace, append(flags, cmd.Args...)
	b.start(cmd)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = cmd.Wait()
	}()
	select {
	case <-done:
	case <-time.After(2 * time.Second): // it follows the sentry, which lives
		b.deleted()
		b.ended(done, cmd)
	}
	return cmd.ProcessState.ExitCode() < 0
}

// ends waits for a command that may have lost what it talks to.
func (b *box) ends(cmd *exec.Cmd) {
	b.t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = cmd.Wait()
	}()
	b.ended(done, cmd)
}

// ended waits for done, which says that cmd has ended.
func (b *box) ended(done <-chan struct{}, cmd *exec.Cmd) {
	b.t.Helper()
	const most = 15 * time.Second
	late := time.After(most)
	for {
		select {
		case <-done:
			return
		case <-time.After(10 * time.Millisecond):
			// The first process of a pid namespace ends when the others are reaped, and
			// strace(1) when all do.
			for _, p := range processes() {
				if p.parent == os.Getpid() && p.pid != cmd.Process.Pid && p.zombie() {
					_, _ = unix.Wait4(p.pid, nil, unix.WNOHANG, nil)
				}
			}
		case <-late:
			b.t.Errorf("%v did not end in %v", cmd.Args, most)
			_ = cmd.Process.Kill()
			<-done
			return
		}
	}
}

// deleted asserts that delete --force does its work.
func (b *box) deleted() {
	b.t.Helper()
	start := time.Now()
	if out, err := b.output("delete", "--force", b.id); err != nil {
		b.t.Errorf("delete --force: %v: %s", err, out)
	}
	if d := time.Since(start); d > 10*time.Second {
		b.t.Errorf("delete --force took %v", d)
	}
}

// A process is one of this host.
type process struct {
	pid, parent    int
	state, command string
}

func (p process) String() string { return fmt.Sprintf("%d %q", p.pid, p.command) }

func (p process) zombie() bool { return p.state == "Z" || p.state == "X" }

// processes are all of this host's.
func processes() (all []process) {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, name := range stats {
		data, err := os.ReadFile(name)
		open, end := bytes.IndexByte(data, '('), bytes.LastIndexByte(data, ')')
		if err != nil || end < 0 {
			continue
		}
		f := strings.Fields(string(data[end+1:])) // state, parent, …
		pid, _ := strconv.Atoi(strings.TrimSpace(string(data[:open])))
		parent, _ := strconv.Atoi(f[1])
		all = append(all, process{pid, parent, f[0], string(data[open+1 : end])})
	}
	return all
}

// descendants are the processes below pid that are not zombies. Those whose parents
// have ended are below this process, which is their subreaper.
func descendants(pid int) (found []process) {
	children := map[int][]process{}
	for _, p := range processes() {
		if !p.zombie() {
			children[p.parent] = append(children[p.parent], p)
		}
	}
	for next := []int{pid}; len(next) > 0; next = next[1:] {
		for _, c := range children[next[0]] {
			found, next = append(found, c), append(next, c.pid)
		}
	}
	return found
}

// checkChildless asserts that no process that this test has begun is left.
func checkChildless(t *testing.T) {
	t.Helper()
	var left []process
	for end := time.Now().Add(3 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		reapOrphans() // the first process of a pid namespace ends when the others are reaped
		if left = descendants(os.Getpid()); len(left) == 0 {
			return
		}
	}
	t.Errorf("left behind: %v", left)
}

// TestStartOfAShortLife asks that start is told that init runs, though init has ended
// before the sentry comes to say so.
func TestStartOfAShortLife(t *testing.T) {
	ours(t)
	b := newBox(t, []string{"true"}, nil)
	b.must("create", b.id)
	sentry := itoa(b.record().Sentry.PID)
	cmd := exec.Command("strace", "-f", "-o", "/dev/null", "-e", "trace=sendmsg", "-e", "inject=sendmsg:delay_enter=500ms", "-p", sentry)
	said, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("%v: test/deps installs it", err)
	}
	copyUntil(t, said, "attached")
	b.must("start", b.id)
	b.await("stopped")
	b.ends(cmd)
}
