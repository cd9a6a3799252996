package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"garrison/test/bundle"
)

// TestSaid has what a container's processes print kept, and what a failed command does told:
// the end of it.
func TestSaid(t *testing.T) {
	dir := t.TempDir()
	fake := filepath.Join(dir, "fake")
	script := `#!/bin/sh
case $3 in
create) echo "nginx: [emerg] bind() failed" >&2 ;;
delete) ;;
*) seq 10000; echo "no such thing" >&2; exit 1 ;;
esac
`
	if err := os.WriteFile(fake, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	box := filepath.Join(dir, "box")
	if err := os.Mkdir(box, 0o755); err != nil {
		t.Fatal(err)
	}
	c, err := createOf(context.Background(), runtime{oci: bundle.Runtime{Path: fake}}, box)
	if err != nil {
		t.Fatal(err)
	}
	if got := lastOf(c.said); got != "nginx: [emerg] bind() failed" {
		t.Errorf("it said %q", got)
	}
	out, err := c.command(context.Background(), "state", c.id)
	if err == nil || !strings.HasSuffix(err.Error(), "9999\n10000\nno such thing") || len(err.Error()) > 2100 || !strings.HasPrefix(out, "1\n2\n") {
		t.Errorf("%d bytes, and %v", len(out), err)
	}
	if err := c.remove(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(box); !os.IsNotExist(err) {
		t.Errorf("the bundle is left: %v", err)
	}
}
