package guest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestC runs the C programs that the runner compiled into /c. Each ends with 0
// if all is well, and says what is not; a comment in its first lines says
// which calls it covers. What its main runs as CASE or APART is a case here.
func TestC(t *testing.T) {
	bins, err := filepath.Glob("/c/*.c")
	ok(t, err)
	if len(bins) == 0 {
		t.Skip("no C programs in /c: run by way of test/syscalls")
	}
	coverLine := regexp.MustCompile(`covers: ([a-z0-9_ ]+)`)
	for _, src := range bins {
		t.Run(strings.TrimSuffix(filepath.Base(src), ".c"), func(t *testing.T) {
			text, err := os.ReadFile(src)
			ok(t, err)
			for _, m := range coverLine.FindAllSubmatch(text, -1) {
				covers(t, strings.Fields(string(m[1]))...)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 2*soon)
			defer cancel()
			cmd := exec.CommandContext(ctx, strings.TrimSuffix(src, ".c"))
			cmd.Dir = t.TempDir()
			cmd.WaitDelay = time.Second
			out, err := cmd.CombinedOutput()
			cases(t, string(out), err)
		})
	}
}

// caseLine is what CASE and APART of check.h print.
var caseLine = regexp.MustCompile(`^(case|passed) (.+?)(\(\))?$`)

// cases gives each case of a C program's output its verdict, and the program its
// own. One that began and has not passed has failed: what was said since is why.
func cases(t *testing.T, out string, err error) {
	said, well := strings.CutSuffix(out, "well\n")
	name, since, failed := "", "", false
	verdict := func(passed bool) {
		if name == "" {
			return
		}
		failed = failed || !passed
		t.Run(name, func(t *testing.T) {
			if !passed {
				t.Errorf("%v\n%s", err, since)
			}
		})
		name, since = "", ""
	}
	for l := range strings.Lines(said) {
		switch m := caseLine.FindStringSubmatch(strings.TrimSuffix(l, "\n")); {
		case m == nil && strings.HasPrefix(l, "absent "):
			fmt.Print(l)
		case m == nil:
			since += l
		case m[1] == "case":
			verdict(false)
			name = m[2]
		case m[2] == name:
			verdict(true)
		}
	}
	verdict(false)
	if !failed && (err != nil || !well) {
		t.Errorf("%v\n%s", err, out)
	}
}
