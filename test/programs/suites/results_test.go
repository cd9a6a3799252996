package suites

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
)

// results are verdicts (ok, skip, bad, hang) by case.
type results map[string]string

func (r results) add(more results) { maps.Copy(r, more) }

// String counts the verdicts.
func (r results) String() string {
	n := map[string]int{}
	for _, v := range r {
		n[v]++
	}
	var all []string
	for _, v := range slices.Sorted(maps.Keys(n)) {
		all = append(all, fmt.Sprintf("%d %s", n[v], v))
	}
	return strings.Join(all, ", ")
}

// readResults reads what guest/run.py wrote.
func readResults(name string) (results, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	return parseResults(string(text))
}

func parseResults(text string) (results, error) {
	r := results{}
	for line := range strings.Lines(text) {
		verdict, name, ok := strings.Cut(strings.TrimSpace(line), " ")
		if !ok {
			return nil, fmt.Errorf("results: no case in %q", line)
		}
		if r[name] != "bad" {
			r[name] = verdict
		}
	}
	return r, nil
}

// expected is the cases that are known to fail, each with its reason.
type expected map[string]string

// readExpected reads a list: lines of a case and a reason. A reason that begins with
// "hangs", or "timed" (it asserts how long something takes, which a busy machine
// decides), keeps the case from being run.
func readExpected(name string) (expected, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	list := expected{}
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		c, reason, ok := strings.Cut(line, " ")
		if _, twice := list[c]; twice || !ok {
			return nil, fmt.Errorf("%s: %q has no reason, or is there twice", name, c)
		}
		list[c] = strings.TrimSpace(reason)
	}
	return list, nil
}

// hanging are the cases that are not to be run.
func (e expected) hanging() []string {
	var all []string
	for c, reason := range e {
		if strings.HasPrefix(reason, "hangs") || strings.HasPrefix(reason, "timed") {
			all = append(all, c)
		}
	}
	return slices.Sorted(slices.Values(all))
}

// judge says what is wrong with what was got where want is right.
func (e expected) judge(want, got results) []string {
	var faults []string
	for _, c := range slices.Sorted(maps.Keys(want)) {
		reason, listed := e[c]
		switch {
		case want[c] == "ok" && got[c] != "ok" && !listed:
			faults = append(faults, fmt.Sprintf("%s: %s", c, cmp.Or(got[c], "not run")))
		case got[c] == "ok" && listed:
			faults = append(faults, fmt.Sprintf("%s passes, and is on the list of what fails (%s)", c, reason))
		}
	}
	return faults
}

// unknown says which cases of the list the suite does not have.
func (e expected) unknown(seen results) []string {
	var faults []string
	for _, c := range slices.Sorted(maps.Keys(e)) {
		if _, ok := seen[c]; !ok {
			faults = append(faults, c+" is on the list of what fails, and there is no such case")
		}
	}
	return faults
}

// tooMany complains if more than a tenth of what is right is on the list.
func (e expected) tooMany(want results) []string {
	right := 0
	for _, v := range want {
		if v == "ok" {
			right++
		}
	}
	if 10*len(e) <= right {
		return nil
	}
	return []string{fmt.Sprintf("%d cases are on the list of what fails, of %d that pass elsewhere", len(e), right)}
}

func TestJudge(t *testing.T) {
	want, err := parseResults("hang a\nok a\nhang b\nbad b\nok b\nskip c\nok d\nok e\nok f\nok g\n")
	if err != nil {
		t.Fatal(err)
	}
	if want["a"] != "ok" || want["b"] != "bad" {
		t.Error("verdicts", want)
	}
	list := expected{"e": "known", "f": "known", "x": "known"}
	got := results{"a": "ok", "b": "bad", "c": "bad", "d": "skip", "e": "bad", "f": "ok"}
	faults := list.judge(want, got)
	if len(faults) != 3 || faults[0] != "d: skip" || !strings.HasPrefix(faults[1], "f passes") || faults[2] != "g: not run" {
		t.Errorf("faults %q", faults)
	}
	if u := list.unknown(want); len(u) != 1 || !strings.HasPrefix(u[0], "x ") {
		t.Errorf("unknown %q", u)
	}
	if m := list.tooMany(want); len(m) != 1 {
		t.Errorf("too many %q", m)
	}
	if m := (expected{}).tooMany(want); m != nil {
		t.Errorf("too many of none %q", m)
	}
}
