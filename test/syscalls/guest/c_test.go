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
// which calls it covers.
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
			said, well := strings.CutSuffix(string(out), "well\n")
			if err != nil || !well {
				t.Errorf("%v\n%s", err, out)
			}
			fmt.Print(said) // which calls are absent
		})
	}
}
