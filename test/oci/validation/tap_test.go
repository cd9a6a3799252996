package validation

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// wellDone is the point of a program as a whole, beside those that it makes.
const wellDone = "ends with status 0, and complains of nothing outside its points"

// points are what a program found out: its test points and wellDone, by what they
// say, and which of those that say the same it is.
type points map[string]bool

var point = regexp.MustCompile(`^(not )?ok\b[ \d]*(?:- )?(.*)$`)

// parse reads a program's output, in the Test Anything Protocol (version 13). Some
// of the programs know how to complain without a point: by an error in a YAML
// block that follows none.
func parse(output string, status int) points {
	found, well := points{}, status == 0
	followsPoint := false
	for _, line := range strings.Split(output, "\n") {
		switch m := point.FindStringSubmatch(line); {
		case m != nil:
			found.add(m[2], m[1] == "")
			followsPoint = true
		case strings.HasPrefix(line, "TAP version"):
			followsPoint = false
		case !followsPoint && strings.HasPrefix(strings.TrimSpace(line), `"error": "`):
			well = false
		}
	}
	found[wellDone] = well
	return found
}

func (p points) add(text string, ok bool) {
	key := text
	for n := 2; ; n++ {
		if _, taken := p[key]; !taken {
			break
		}
		key = text + ", " + strconv.Itoa(n)
	}
	p[key] = ok
}

// lost are the points that pass in native and not in p, sorted.
func (p points) lost(native points) (lost []string) {
	for text, ok := range native {
		if ok && !p[text] {
			lost = append(lost, text)
		}
	}
	slices.Sort(lost)
	return lost
}

func TestParse(t *testing.T) {
	native := parse("TAP version 13\nok 1 - limit\n  ---\n  {\n    \"error\": \"none\"\n  }\n  ...\nok 2 - limit\nnot ok 3 - swap\n1..3\n", 0)
	ours := parse("TAP version 13\nok 1 - limit\nnot ok 2 - limit\n# expect: 1, actual: 2\nok 3 - swap\n1..3\n", 0)
	if lost := ours.lost(native); !slices.Equal(lost, []string{"limit, 2"}) || len(native) != 4 {
		t.Errorf("lost %q of %v", lost, native)
	}
	for _, bad := range []points{
		parse("TAP version 13\nok 1 - limit\nok 2 - limit\n", 1),
		parse("TAP version 13\n  ---\n  {\n    \"error\": \"why\"\n  }\n  ...\nok 1 - limit\nok 2 - limit\n1..2\n", 0),
	} {
		if lost := bad.lost(native); !slices.Equal(lost, []string{wellDone}) {
			t.Errorf("lost %q", lost)
		}
	}
}
