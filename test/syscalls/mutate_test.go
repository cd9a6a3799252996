package syscalls

import (
	"bufio"
	"bytes"
	"flag"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"garrison/test/bundle"
)

var mutate = flag.String("mutate", "20", `how many calls to break, at random, or "all", or a comma-separated list of names`)

// slack is what a mutant has beyond three times as long as its cases take when nothing
// is broken: it ends those that wait for ever for what a broken call did not do.
const slack = 8 * time.Second

// survivors are the mutants that no case can notice, and why.
var survivors = map[string]string{
	"sched_yield=nothing": "whom the processor goes to is the scheduler's choice",
	"sync=nothing":        "what is not on the disk shows only after the host has crashed",
}

// TestMutate breaks one call after another, by ENOSYS and by doing nothing, and
// wants a case to notice. Mutants mostly wait: -parallel says how many do so at once.
func TestMutate(t *testing.T) {
	s := newSuite(t)
	ours := bundle.Ours(*runsc, *platform)
	whole := s.run(t, ours, "", suiteTimeout)
	if !whole.finished || whole.late {
		t.Fatalf("the suite did not come to its end:\n%s", tail(whole.text, 40))
	}
	var victims []string
	for _, name := range implementedCalls(t) {
		if len(whole.witnesses(name)) == 0 {
			t.Errorf("%s: no case that passes says that it covers it", name)
			continue
		}
		victims = append(victims, name)
	}
	suites := s.copies(t, parallel(t))
	sound := <-suites
	if got := sound.mutant(t, ours, whole, whole.witnesses("getpid")); !got.finished || strings.Contains(got.text, "--- FAIL") {
		t.Fatalf("a copy of the bundle with nothing broken:\n%s", got.text)
	}
	suites <- sound
	for _, name := range choose(victims) {
		for _, how := range []string{"ENOSYS", "nothing"} {
			t.Run(name+"="+how, func(t *testing.T) {
				t.Parallel()
				broken := ours
				broken.Flags = append(slices.Clone(ours.Flags), "--break-syscall="+name+"="+how)
				mine := <-suites
				defer func() { suites <- mine }()
				judge(t, name, how, whole, mine.mutant(t, broken, whole, whole.witnesses(name)))
			})
		}
	}
}

// judge says whether a case noticed that the call was broken when it gave got.
func judge(t *testing.T, name, how string, whole, got *report) {
	t.Helper()
	noticed := !got.finished || got.late || got.absent[name] && !whole.absent[name]
	var silent []string
	for _, c := range whole.witnesses(name) {
		v, ran := got.groups[c]
		noticed = noticed || ran && v != "PASS"
		if !ran {
			silent = append(silent, c)
		}
	}
	switch reason := survivors[name+"="+how]; {
	case !noticed && len(silent) > 0:
		t.Errorf("never ran: %s", strings.Join(silent, " "))
	case !noticed && reason == "":
		t.Errorf("survived: %s", strings.Join(whole.witnesses(name), " "))
	case noticed && reason != "":
		t.Errorf("no survivor any more (%s)", reason)
	}
}

// witnesses are the cases that cover a call and pass when nothing is broken.
func (r *report) witnesses(name string) (cases []string) {
	for _, c := range r.covers[name] {
		if r.groups[c] == "PASS" {
			cases = append(cases, c)
		}
	}
	return cases
}

// mutant runs the cases in broken until one fails.
func (s suite) mutant(t *testing.T, broken bundle.Runtime, whole *report, cases []string) *report {
	limit := slack
	for _, c := range cases {
		limit += 3 * whole.took[c]
	}
	return s.run(t, broken, pattern(cases), limit, "-test.failfast")
}

// parallel is how many tests run at once.
func parallel(t *testing.T) int {
	n, err := strconv.Atoi(flag.Lookup("test.parallel").Value.String())
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// copies are n bundles like s, for runs at the same time.
func (s suite) copies(t *testing.T, n int) chan suite {
	t.Helper()
	out := make(chan suite, n)
	for i := range n {
		dir := filepath.Join(s.dir, "copies", strconv.Itoa(i))
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		must(t, exec.Command("cp", "-al", filepath.Join(s.dir, "rootfs"), dir))
		out <- suite{dir}
	}
	return out
}

// implementedCalls are the names that `runsc syscalls` calls implemented.
func implementedCalls(t *testing.T) (names []string) {
	t.Helper()
	out, err := exec.Command(*runsc, "syscalls").Output()
	if err != nil {
		t.Fatalf("%s syscalls: %v", *runsc, err)
	}
	for s := bufio.NewScanner(bytes.NewReader(out)); s.Scan(); {
		if w := strings.Fields(s.Text()); len(w) >= 3 && w[2] == "implemented" {
			names = append(names, w[1])
		}
	}
	return names
}

func choose(all []string) []string {
	switch n := 0; {
	case *mutate == "all":
		return all
	case strings.Trim(*mutate, "0123456789") == "":
		for _, c := range *mutate {
			n = n*10 + int(c-'0')
		}
		rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		return all[:min(n, len(all))]
	}
	return strings.Split(*mutate, ",")
}

// pattern is a -test.run expression that these cases match; a level of subtests is
// alternatives of its own.
func pattern(cases []string) string {
	var levels [][]string
	for _, c := range cases {
		for i, part := range strings.Split(c, "/") {
			if i == len(levels) {
				levels = append(levels, nil)
			}
			if part = regexp.QuoteMeta(part); !slices.Contains(levels[i], part) {
				levels[i] = append(levels[i], part)
			}
		}
	}
	var p []string
	for _, l := range levels {
		p = append(p, "^("+strings.Join(l, "|")+")$")
	}
	return strings.Join(p, "/")
}
