package bundle

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"time"
)

// A Runtime is an OCI runtime's command line.
type Runtime struct {
	Path  string
	Flags []string // those before its command
}

// Ours is Garrison's runsc at path on a platform; "" is for a runtime in its
// place that knows no platforms.
func Ours(path, platform string) Runtime {
	if platform == "" {
		return Runtime{Path: path}
	}
	return Runtime{path, []string{"--platform=" + platform}}
}

// Command is the runtime's command with args, with its state below the bundle.
func (r Runtime) Command(ctx context.Context, dir string, args ...string) *exec.Cmd {
	state := filepath.Join(dir, "state-"+filepath.Base(r.Path))
	all := append([]string{"--root", state}, r.Flags...)
	return exec.CommandContext(ctx, r.Path, append(all, args...)...)
}

// A Result is how a container ended.
type Result struct {
	Output string // stdout and stderr, as they came
	Code   int
	Late   bool // it was ended at its time limit
}

var serial atomic.Int64

// ID is a name that no other container of this machine has: it is made of the
// bundle's directory.
func ID(dir string) string {
	return fmt.Sprintf("%s-%s-%d", filepath.Base(filepath.Dir(dir)), filepath.Base(dir), serial.Add(1))
}

// Run runs the bundle dir in a fresh container, for limit at most.
func (r Runtime) Run(ctx context.Context, dir string, limit time.Duration) (Result, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	id := ID(dir)
	cmd := r.Command(ctx, dir, "run", "--bundle", dir, id)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.Cancel = func() error {
		_ = r.Command(context.Background(), dir, "delete", "--force", id).Run()
		return cmd.Process.Kill()
	}
	cmd.WaitDelay = 5 * time.Second
	err := cmd.Run()
	result := Result{Output: out.String(), Late: ctx.Err() != nil, Code: cmd.ProcessState.ExitCode()}
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) || result.Late {
		err = nil
	}
	if err != nil {
		err = fmt.Errorf("%v: %w", cmd.Args, err)
	}
	return result, err
}
