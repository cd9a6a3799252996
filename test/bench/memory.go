package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"garrison/test/bench/report"
)

// A memoryLine is measured while so many sandboxes are idle, and reported for
// each of them.
type memoryLine struct {
	name  string
	unit  report.Unit
	means string
	crowd int // an index of effort.crowd
	of    func(*bench, context.Context, int) (float64, error)
}

var memoryTable = []memoryLine{
	{"1 idle sandbox", report.MiB, "the proportional set size of all processes of a sandbox whose program does nothing, while it is the only one", 0, (*bench).pss},
	{"each of 10", report.MiB, "the same for each of 10 sandboxes: what they share counts once", 1, (*bench).pss},
	{"wake-ups", report.WakeUps, "how often the threads of a sandbox are switched to, in 10 seconds in which its program does nothing", 1, (*bench).wakeUps},
	{"each of 50", report.MiB, "the proportional set size for each of 50 (not under gVisor)", 2, (*bench).pss},
}

func memoryLines(*bench) (lines []*report.Line, err error) {
	for _, m := range memoryTable {
		lines = append(lines, &report.Line{Name: m.name, Unit: m.unit, Means: m.means})
	}
	return lines, nil
}

// memoryRound starts more and more sandboxes, and stops to measure.
func memoryRound(ctx context.Context, b *bench, rt runtime, lines []*report.Line) map[string]report.Reading {
	wanted := names(lines)
	readings := map[string]report.Reading{}
	var crowd []*container
	defer func() { removeAll(crowd) }()
	var err error
	for _, m := range memoryTable {
		if !wanted[m.name] || rt.Kind == report.GVisor && m.crowd == 2 {
			continue
		}
		n := b.crowd[m.crowd]
		for err == nil && len(crowd) < n {
			var c *container
			if c, err = b.idler(ctx, rt); err == nil {
				crowd = append(crowd, c)
			}
		}
		var v float64
		if err == nil {
			v, err = m.of(b, ctx, n)
		}
		if err != nil {
			readings[m.name] = report.Failed("%v", err)
		} else {
			readings[m.name] = report.Reading{Value: v}
		}
	}
	return readings
}

// removeAll removes containers, a few at a time: most of it is waiting.
func removeAll(crowd []*container) {
	var all sync.WaitGroup
	few := make(chan struct{}, 8)
	for _, c := range crowd {
		all.Go(func() {
			few <- struct{}{}
			defer func() { <-few }()
			if err := c.remove(); err != nil {
				fmt.Fprintf(os.Stderr, "bench: %s: %v\n", c.rt.Name, err)
			}
		})
	}
	all.Wait()
}

// idler is a container whose program has begun to wait.
func (b *bench) idler(ctx context.Context, rt runtime) (*container, error) {
	c, err := b.create(ctx, rt)
	if err != nil {
		return nil, err
	}
	if _, err := c.command(ctx, "start", c.id); err != nil {
		_ = c.remove()
		return nil, err
	}
	return c, nil
}

// rest is how long sandboxes are left alone before their memory is looked at.
const rest = 500 * time.Millisecond

// sleep sleeps for d, or until ctx is done.
func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// pss is the proportional set size of everything in the group, in MiB, by n.
func (b *bench) pss(ctx context.Context, n int) (float64, error) {
	sleep(ctx, rest)
	sum := 0.0
	for _, pid := range b.group.processes() {
		if kib, err := field(fmt.Sprintf("/proc/%d/smaps_rollup", pid), "Pss:"); err == nil { // it may have ended
			sum += kib
		}
	}
	if sum == 0 {
		return 0, fmt.Errorf("the sandboxes have no memory")
	}
	return sum / 1024 / float64(n), nil
}

// wakeUps is how often the threads of the group were switched to while nothing
// was asked of them, in 10 seconds, by n.
func (b *bench) wakeUps(ctx context.Context, n int) (float64, error) {
	sleep(ctx, rest)
	before := b.switches()
	begin := time.Now()
	sleep(ctx, b.idle)
	after := b.switches()
	tens := time.Since(begin).Seconds() / 10
	sum := 0.0
	for thread, v := range after {
		sum += v - before[thread] // one that is new has its whole life here
	}
	if len(after) == 0 {
		return 0, fmt.Errorf("the sandboxes have no threads")
	}
	return sum / tens / float64(n), nil
}

// switches is the context switches of every thread of the group so far.
func (b *bench) switches() map[string]float64 {
	all := map[string]float64{}
	for _, pid := range b.group.processes() {
		threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
		for _, t := range threads {
			of, err := field(t, "voluntary_ctxt_switches:")
			against, err2 := field(t, "nonvoluntary_ctxt_switches:")
			if err == nil && err2 == nil { // it may have ended meanwhile
				all[t] = of + against
			}
		}
	}
	return all
}

// field is the number after the name that a line of a file begins with.
func field(file, name string) (v float64, err error) {
	f, err := os.Open(file)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	s := bufio.NewScanner(f)
	for s.Scan() {
		if after, ok := strings.CutPrefix(s.Text(), name); ok {
			_, err := fmt.Sscan(after, &v)
			return v, err
		}
	}
	return 0, fmt.Errorf("%s has no %s", file, name)
}
