package syscalls

import (
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"garrison/test/bundle"
)

// TestSocketOptions asks that every option of every kind of socket reads, is set and is
// refused as on Linux, but for differences.
func TestSocketOptions(t *testing.T) {
	s := newOptionsSuite(t)
	want := s.lines(t, bundle.Runtime{Path: *native})
	got := s.lines(t, bundle.Ours(*runsc, *platform))
	if len(want) < 20000 || len(got) != len(want) {
		t.Fatalf("%d lines on Linux, %d in the sandbox", len(want), len(got))
	}
	used := make([]bool, len(optionDifferences))
	failed := map[string]int{}
	for i, w := range want {
		if got[i] == w || allowed(w, got[i], used) {
			continue
		}
		option, _, _ := strings.Cut(w, ": ")
		option = option[:strings.LastIndex(option, " ")]
		if failed[option]++; failed[option] <= 3 && len(failed) < 40 {
			t.Errorf("%s on Linux,\n  in the sandbox %s", w, got[i][strings.Index(got[i], ": ")+2:])
		}
	}
	for i, d := range optionDifferences {
		if !used[i] && !d.perhaps {
			t.Errorf("optionDifferences: %q does not differ", d.lines)
		}
	}
	t.Logf("%d lines", len(want))
}

// allowed reports whether w, Linux's line, and g, the sandbox's, differ as one of
// optionDifferences says, which it marks as used.
func allowed(w, g string, used []bool) bool {
	for i, d := range optionDifferences {
		if optionPatterns[i].MatchString(w) && strings.HasSuffix(g, d.ours) {
			used[i] = true
			return true
		}
	}
	return false
}

var optionPatterns = func() (all []*regexp.Regexp) {
	for _, d := range optionDifferences {
		all = append(all, regexp.MustCompile("^(?:"+d.lines+")"))
	}
	return all
}()

func newOptionsSuite(t *testing.T) suite {
	t.Helper()
	s := newEmptySuite(t)
	build := exec.Command("go", "build", "-o", filepath.Join(s.dir, "rootfs/sockopts"), "./sockopts")
	build.Env = append(build.Environ(), "CGO_ENABLED=0")
	must(t, build)
	return s
}

// lines is what the program prints under r.
func (s suite) lines(t *testing.T, r bundle.Runtime) []string {
	t.Helper()
	c := bundle.Spec("/sockopts")
	c.Linux.Sysctl = map[string]string{"net.ipv4.ping_group_range": "0 0"}
	bundle.Grant(c, bundle.Capabilities+" NET_ADMIN")
	if err := bundle.Write(s.dir, c); err != nil {
		t.Fatal(err)
	}
	result, err := r.Run(t.Context(), s.dir, 3*time.Minute)
	if err != nil || result.Late || result.Code != 0 {
		t.Fatalf("%s: %v, %+v", r.Path, err, tail(result.Output, 5))
	}
	return strings.Split(strings.TrimSpace(result.Output), "\n")
}
