package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"

	"garrison/test/bench/report"
	"garrison/test/bundle"
)

// A runtime is one of those compared.
type runtime struct {
	report.Runtime
	oci bundle.Runtime
}

// runtimes are those that work here; what was left out is said, with its reason.
func (b *bench) runtimes(ctx context.Context, o options) (rts []runtime, leftOut []string, err error) {
	only, err := regexp.Compile(o.only)
	if err != nil {
		return nil, nil, err
	}
	candidates := []runtime{
		{report.Runtime{Name: "runc", Kind: report.Native, Rounds: o.rounds}, bundle.Runtime{Path: "runc"}},
		{report.Runtime{Name: "crun", Kind: report.Native, Rounds: o.rounds}, bundle.Runtime{Path: "crun"}},
		peer(o),
	}
	ours, err := garrison(o)
	if err != nil {
		return nil, nil, err
	}
	for _, rt := range append(candidates, ours...) {
		if !only.MatchString(rt.Name) {
			continue
		}
		if b.smoke {
			rt.Rounds = 1
		}
		if err := b.try(ctx, &rt); err != nil && b.smoke && rt.Kind != report.Garrison {
			return nil, nil, fmt.Errorf("%s: %w", rt.Name, err)
		} else if err != nil {
			leftOut = append(leftOut, fmt.Sprintf("%s: %v", rt.Name, err))
			fmt.Fprintf(os.Stderr, "bench: left out: %s: %v\n", rt.Name, err)
			continue
		}
		rts = append(rts, rt)
	}
	if len(rts) == 0 || b.smoke && only.MatchString(ours[0].Name) && rts[len(rts)-1].Kind != report.Garrison {
		return nil, nil, fmt.Errorf("nothing to measure: %s", strings.Join(leftOut, "; "))
	}
	return rts, leftOut, ctx.Err()
}

// peer is gVisor: Debian's, or the one that was named.
func peer(o options) runtime {
	path, platform, rounds := o.peer, o.peerPlatform, o.rounds
	if path == "" {
		path = "/usr/bin/runsc"
	}
	if platform == "" {
		platform = "ptrace"
	}
	if platform == "ptrace" {
		rounds = min(rounds, o.slowRounds)
	}
	return runtime{
		report.Runtime{Name: "gVisor " + platform, Kind: report.GVisor, Rounds: rounds},
		bundle.Runtime{Path: path, Flags: []string{"--platform=" + platform, "--network=none", "--ignore-cgroups"}},
	}
}

// garrison is ours, once for each platform.
func garrison(o options) (rts []runtime, err error) {
	platforms := strings.FieldsFunc(o.platforms, func(r rune) bool { return r == ',' })
	if len(platforms) == 0 {
		out, err := onHost("", nil, o.runsc, "platforms")
		if err != nil {
			return nil, fmt.Errorf("%w (make build)", err)
		}
		for l := range strings.Lines(out) {
			if f := strings.Fields(l); len(f) > 0 && f[0] != "auto" { // which is one of the others
				platforms = append(platforms, f[0])
			}
		}
	}
	for _, p := range platforms {
		rts = append(rts, runtime{
			report.Runtime{Name: "Garrison " + p, Kind: report.Garrison, Rounds: o.rounds},
			bundle.Ours(o.runsc, p),
		})
	}
	return rts, nil
}

// try finds the runtime's program and version, and has it say hello.
func (b *bench) try(ctx context.Context, rt *runtime) error {
	path, err := exec.LookPath(rt.oci.Path)
	if err != nil {
		return err
	}
	if rt.oci.Path, err = filepath.Abs(path); err != nil {
		return err
	}
	rt.Command = strings.Join(append([]string{filepath.Base(path)}, rt.oci.Flags...), " ")
	out, err := onHost("", nil, rt.oci.Path, "--version")
	if err != nil {
		return err
	}
	version, _, _ := strings.Cut(out, "\n") // "runc version 1.1.5"
	rt.Version = version[strings.LastIndex(version, " ")+1:]
	dir, err := b.tinyBox("hello")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	_, err = hello(ctx, *rt, dir)
	return err
}
