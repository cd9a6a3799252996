package syscalls

import (
	"bufio"
	"bytes"
	"flag"
	"math/rand/v2"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"garrison/test/bundle"
)

var mutate = flag.String("mutate", "20", `how many calls to break, at random, or "all", or a comma-separated list of names`)

// mutantTimeout is long enough for the cases of any one call, and ends those
// that wait for ever for what a broken call did not do.
const mutantTimeout = 10 * time.Second

// survivors are the mutants that no case can notice, and why.
var survivors = map[string]string{
	"sched_yield=nothing": "whom the processor goes to is the scheduler's choice",
	"sync=nothing":        "what is not on the disk shows only after the host has crashed",
}

// TestMutate breaks one call after another, by ENOSYS and by doing nothing, and
// wants a case to notice.
func TestMutate(t *testing.T) {
	s := newSuite(t)
	ours := bundle.Ours(*runsc, *platform)
	whole := s.run(t, ours, "", suiteTimeout)
	implemented := implementedCalls(t)
	var victims []string
	for _, name := range implemented {
		if len(whole.covers[name]) == 0 {
			t.Errorf("%s: no case says that it covers it", name)
			continue
		}
		victims = append(victims, name)
	}
	for _, name := range choose(victims) {
		for _, how := range []string{"ENOSYS", "nothing"} {
			t.Run(name+"="+how, func(t *testing.T) {
				cases := whole.covers[name]
				broken := ours
				broken.Flags = append(slices.Clone(ours.Flags), "--break-syscall="+name+"="+how)
				got := s.run(t, broken, pattern(cases), mutantTimeout)
				noticed := got.absent[name] && !whole.absent[name]
				for _, c := range cases {
					noticed = noticed || got.groups[c] != "PASS"
				}
				switch reason := survivors[name+"="+how]; {
				case !noticed && reason == "":
					t.Errorf("survived %d cases: %s", len(cases), strings.Join(cases, " "))
				case noticed && reason != "":
					t.Errorf("no survivor any more (%s)", reason)
				}
			})
		}
	}
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

// pattern is the -test.run expression for exactly these cases; a level of
// subtests is alternatives of its own.
func pattern(cases []string) string {
	var tops, subs []string
	for _, c := range cases {
		top, sub, nested := strings.Cut(c, "/")
		tops = append(tops, top)
		if nested {
			subs = append(subs, sub)
		}
	}
	p := "^(" + strings.Join(tops, "|") + ")$"
	if len(subs) > 0 {
		p += "/^(" + strings.Join(subs, "|") + ")$"
	}
	return p
}
