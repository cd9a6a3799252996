package programs

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"garrison/test/bundle"
)

// TestTree compares the files of /proc and /sys with those of a Linux container
// (tree/linux, recorded by -update under the peer): what is not there, or can't be
// read, is excused by a line of tree/absent, and each of those excuses something.
func TestTree(t *testing.T) {
	needs(t, "tree/list.sh")
	if *update {
		linux := slices.Sorted(maps.Keys(tree(t, bundle.Runtime{Path: *peer})))
		if err := os.WriteFile("tree/linux", []byte(strings.Join(linux, "\n")+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	here := tree(t, bundle.Ours(*runsc, *platform))
	excuses := excuses(t)
	used := map[*regexp.Regexp]bool{}
	linux := map[string]bool{}
	for _, path := range lines(t, "tree/linux") {
		linux[path] = true
		if here[path] || strings.HasPrefix(path, "unreadable ") || ofMachine.MatchString(path) && !exists(path) {
			continue
		}
		i := slices.IndexFunc(excuses, func(x *regexp.Regexp) bool { return x.MatchString(path) })
		if i < 0 {
			t.Errorf("%s is not there", path)
			continue
		}
		used[excuses[i]] = true
	}
	unreadable := 0
	for path := range here {
		if strings.HasPrefix(path, "unreadable ") {
			unreadable++
			if !linux[path] {
				t.Error(path)
			}
		}
	}
	if unreadable == 0 { // some are everywhere, such as those of an absent security module
		t.Error("the script has read nothing")
	}
	for _, x := range excuses {
		if !used[x] {
			t.Errorf("tree/absent: %v excuses nothing", x)
		}
	}
}

// passing is what differs from one Linux to the next: processes, more processors
// than one, and the files of modules.
var passing = regexp.MustCompile(`/memory\d+(/|$)|/cpu[1-9]\d*(/|$)|/node[1-9]\d*(/|$)|^/proc/(sys/fs/xfs|sys/net/bridge|sys/kernel/init_private|irq/\d)|/cpuidle/|/sys/net/[^/]*/[^/]*/(eth|sit|tunl|ip6tnl)`)

// ofMachine is what only some machines have.
var ofMachine = regexp.MustCompile(`^/sys/devices/system/cpu/cpu0/cache(/|$)`)

// tree is what the script finds under a runtime.
func tree(t *testing.T, runtime bundle.Runtime) map[string]bool {
	t.Helper()
	r := run(t, runtime, "tree/list.sh", os.Args[0])
	if r.Code != 0 {
		t.Fatalf("%s: exit code %d: %s", runtime.Path, r.Code, r.Output)
	}
	all := map[string]bool{}
	for line := range strings.Lines(r.Output) {
		if line = strings.TrimSpace(line); !passing.MatchString(line) {
			all[line] = true
		}
	}
	return all
}

// excuses is the patterns of tree/absent: each line is one and its reason.
func excuses(t *testing.T) []*regexp.Regexp {
	t.Helper()
	var all []*regexp.Regexp
	for _, line := range lines(t, "tree/absent") {
		pattern, reason, _ := strings.Cut(line, " ")
		if strings.TrimSpace(reason) == "" {
			t.Errorf("tree/absent: %s has no reason", pattern)
		}
		all = append(all, regexp.MustCompile("^(?:"+pattern+")$"))
	}
	return all
}

// lines is the lines of a file but empty ones and comments.
func lines(t *testing.T, path string) []string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for line := range strings.Lines(string(b)) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			all = append(all, line)
		}
	}
	return all
}
