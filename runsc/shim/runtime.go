package shim

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/containerd/errdefs"
	runc "github.com/containerd/go-runc"
)

// A runtime calls runsc for the containers of one bundle and namespace.
type runtime struct {
	config *config
	bundle string
	root   string
}

func newRuntime(c *config, bundle, namespace string) *runtime {
	root := c.Root
	if root == "" {
		root = defaultRoot
	}
	return &runtime{config: c, bundle: bundle, root: filepath.Join(root, namespace)}
}

// command is runsc's command line, with errors logged to a file, or nowhere if log is "".
func (r *runtime) command(log string) *runc.Runc {
	return &runc.Runc{
		Command: r.config.binary(), Root: r.root, Log: log, LogFormat: runc.JSON,
		SystemdCgroup: r.config.SystemdCgroup, ExtraArgs: r.config.Flags,
	}
}

// do runs one command of runsc, with a log of its own: commands overlap, and
// standard error may be the container's. Its error is what runsc says.
func (r *runtime) do(run func(*runc.Runc) error) error {
	log, err := os.CreateTemp(r.bundle, "log-*.json")
	if err != nil {
		return err
	}
	defer os.Remove(log.Name())
	defer log.Close()
	err = run(r.command(log.Name()))
	if err == nil {
		return nil
	}
	if said := lastError(log); said != "" {
		err = errors.New(said)
	}
	return classify(err)
}

// lastError is the last error in a log of runsc's, or "".
func lastError(log *os.File) (said string) {
	for d := json.NewDecoder(log); ; {
		var line struct{ Level, Msg string }
		if d.Decode(&line) != nil {
			return said
		}
		if line.Level == "error" {
			said = strings.TrimSpace(line.Msg)
		}
	}
}

// classify gives an error of runsc's the class that clients of containerd ask for.
func classify(err error) error {
	for words, class := range map[string]error{
		"container does not exist":     errdefs.ErrNotFound,
		"container not running":        errdefs.ErrNotFound,
		"given ID already exists":      errdefs.ErrAlreadyExists,
		"cannot exec in a paused":      errdefs.ErrFailedPrecondition,
		"a container that has stopped": errdefs.ErrFailedPrecondition,
	} {
		if strings.Contains(err.Error(), words) {
			return fmt.Errorf("%w: %w", err, class)
		}
	}
	return err
}

// remove deletes a container, whatever it does.
func (r *runtime) remove(ctx context.Context, id string) error {
	return r.do(func(c *runc.Runc) error { return c.Delete(ctx, id, &runc.DeleteOpts{Force: true}) })
}
