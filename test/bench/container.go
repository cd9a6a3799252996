package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"garrison/test/bundle"
)

// commandLimit is how long one command of a runtime may take.
const commandLimit = 30 * time.Second

// A container is one that outlives the command that made it.
type container struct {
	rt      runtime
	dir, id string
	said    string        // the file of what its processes print
	created time.Duration // how long create took
	deleted bool
}

// create makes one of the tiny root, which does nothing. The caller removes it.
func (b *bench) create(ctx context.Context, rt runtime) (*container, error) {
	dir, err := b.tinyBox("idle")
	if err != nil {
		return nil, err
	}
	return createOf(ctx, rt, dir)
}

// createOf makes one of a bundle. The caller removes it, and with it the bundle.
func createOf(ctx context.Context, rt runtime, dir string) (*container, error) {
	c := &container{rt: rt, dir: dir, id: bundle.ID(dir), said: filepath.Join(dir, "said")}
	said, err := os.Create(c.said)
	if err != nil {
		os.RemoveAll(dir)
		return nil, err
	}
	defer said.Close()
	begin := time.Now()
	if err := c.commandTo(ctx, said, "create", "--bundle", dir, c.id); err != nil {
		_ = c.remove() // there may be half of one
		return nil, err
	}
	c.created = time.Since(begin)
	return c, nil
}

// remove ends and deletes the container, if that has not been done.
func (c *container) remove() (err error) {
	if !c.deleted {
		_, err = c.command(context.Background(), "delete", "--force", c.id)
	}
	os.RemoveAll(c.dir)
	return err
}

// stopped waits until the runtime says that the container is.
func (c *container) stopped(ctx context.Context) error {
	for end := time.Now().Add(commandLimit); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		out, err := c.command(ctx, "state", c.id)
		if err != nil {
			return err
		}
		var state struct{ Status string }
		if err := json.Unmarshal([]byte(out), &state); err != nil {
			return fmt.Errorf("state: %w: %s", err, out)
		}
		if state.Status == "stopped" {
			return nil
		}
	}
	return fmt.Errorf("a container that was killed is not stopped after %v", commandLimit)
}

// command runs a command of the runtime, and returns what it printed.
func (c *container) command(ctx context.Context, args ...string) (string, error) {
	out, err := os.CreateTemp(c.dir, "output")
	if err != nil {
		return "", err
	}
	defer out.Close()
	defer os.Remove(out.Name())
	err = c.commandTo(ctx, out, args...)
	text, _ := os.ReadFile(out.Name())
	return string(text), err
}

// commandTo runs a command of the runtime, which prints to a file: what is in a container
// inherits that, and would keep a pipe open.
func (c *container) commandTo(ctx context.Context, out *os.File, args ...string) error {
	ctx, cancel := context.WithTimeout(ctx, commandLimit)
	defer cancel()
	cmd := c.rt.oci.Command(ctx, c.dir, args...)
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w: %s", args[0], err, lastOf(out.Name()))
	}
	return nil
}

// lastOf is the end of a file: what a failed command or server said last.
func lastOf(file string) string {
	const most = 2000
	text, err := os.ReadFile(file)
	if err != nil {
		return err.Error()
	}
	return string(bytes.TrimSpace(text[max(len(text)-most, 0):]))
}
