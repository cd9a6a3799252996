package container

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// hookPipeDelay is how long a hook's output is waited for after its end: a
// process that it left behind may hold it open.
const hookPipeDelay = 100 * time.Millisecond

// RunHooks runs hooks one after the other in the bundle's directory, each with
// state as JSON on its standard input. kind names them in errors. The first
// failure ends it. wrap, if not nil, is what calls the function that runs a hook.
func RunHooks(kind string, hooks []specs.Hook, state *specs.State, wrap func(run func() error) error) error {
	if len(hooks) == 0 {
		return nil
	}
	input, err := json.Marshal(state)
	if err != nil {
		return err
	}
	for i, h := range hooks {
		if err := runHook(h, state.Bundle, input, wrap); err != nil {
			return fmt.Errorf("error running %s hook #%d: %w", kind, i, err)
		}
	}
	return nil
}

func runHook(h specs.Hook, dir string, input []byte, wrap func(run func() error) error) error {
	ctx := context.Background()
	if h.Timeout != nil {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Duration(*h.Timeout)*time.Second)
		defer cancel()
	}
	cmd := exec.CommandContext(ctx, h.Path)
	if len(h.Args) > 0 {
		cmd.Args = h.Args
	}
	cmd.Dir, cmd.Env = dir, h.Env
	if cmd.Env == nil {
		cmd.Env = []string{} // nil would be runsc's own
	}
	var output bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(input), &output, &output
	cmd.WaitDelay = hookPipeDelay
	run := cmd.Run
	if wrap != nil {
		run = func() error { return wrap(cmd.Run) }
	}
	err := run()
	if errors.Is(err, exec.ErrWaitDelay) {
		err = nil // it succeeded, but left a process behind
	}
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fmt.Errorf("hook %s: timed out after %d s", h.Path, *h.Timeout)
	}
	if err != nil {
		return fmt.Errorf("hook %s: %w, stdout and stderr: %q", h.Path, err, strings.TrimSpace(output.String()))
	}
	return nil
}
