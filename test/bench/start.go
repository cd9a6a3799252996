package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"garrison/test/bench/report"
)

// A sample is several values of the same thing, or why there are none.
type sample struct {
	values []float64
	err    error
}

// launches is what the start-ups of one round took.
type launches struct {
	run, cpu, create, start, delete, parallel sample
}

// starts are the lines of start-up, and which sample of a round each is of.
var starts = []struct {
	name, means string
	of          func(*launches) sample
}{
	{"run", "`run` of a static program that says hello, until the command has ended", func(l *launches) sample { return l.run }},
	{"run, CPU time", "the CPU time of that: of the runtime and of every process that it started, as their cgroup counts it", func(l *launches) sample { return l.cpu }},
	{"create", "`create` of a container of such a root", func(l *launches) sample { return l.create }},
	{"start", "`start` of a container that has been created", func(l *launches) sample { return l.start }},
	{"delete", "`delete` of a container that has been killed and whose state is `stopped`", func(l *launches) sample { return l.delete }},
	{"20 at once", "20 `run` of hello begun at the same time, until the last has ended", func(l *launches) sample { return l.parallel }},
}

func startLines(*bench) (lines []*report.Line, err error) {
	for _, s := range starts {
		lines = append(lines, &report.Line{Name: s.name, Unit: report.Nanoseconds, Means: s.means})
	}
	return lines, nil
}

// startRound reports the median of each sample.
func startRound(ctx context.Context, b *bench, rt runtime, _ []*report.Line) map[string]report.Reading {
	var l launches
	l.run, l.cpu = b.timeRuns(ctx, rt)
	l.create, l.start, l.delete = b.timeLives(ctx, rt)
	l.parallel = b.timeCrowds(ctx, rt)
	readings := map[string]report.Reading{}
	for _, s := range starts {
		if of := s.of(&l); of.err != nil {
			readings[s.name] = report.Failed("%v", of.err)
		} else {
			readings[s.name] = report.Reading{Value: report.Median(of.values)}
		}
	}
	return readings
}

// hello is how long a run of hello takes; it checks what is said.
func hello(ctx context.Context, rt runtime, dir string) (time.Duration, error) {
	begin := time.Now()
	result, err := rt.oci.Run(ctx, dir, commandLimit)
	took := time.Since(begin)
	if err == nil && (result.Late || result.Code != 0 || result.Output != "hello\n") {
		err = fmt.Errorf("hello ended with %d (late: %v) and printed %q", result.Code, result.Late, result.Output)
	}
	return took, err
}

// timeRuns runs hello, once without counting it.
func (b *bench) timeRuns(ctx context.Context, rt runtime) (wall, cpu sample) {
	fail := func(err error) (sample, sample) { return sample{err: err}, sample{err: err} }
	dir, err := b.tinyBox("hello")
	if err != nil {
		return fail(err)
	}
	defer os.RemoveAll(dir)
	if _, err := hello(ctx, rt, dir); err != nil {
		return fail(err)
	}
	for range b.runs {
		b.group.settle(time.Second)
		before, err := b.group.cpu()
		if err != nil {
			return fail(err)
		}
		took, err := hello(ctx, rt, dir)
		if err != nil {
			return fail(err)
		}
		b.group.settle(time.Second) // what ends after the command counts too
		after, err := b.group.cpu()
		if err != nil {
			return fail(err)
		}
		wall.values = append(wall.values, float64(took))
		cpu.values = append(cpu.values, float64(after-before))
	}
	return wall, cpu
}

// timeLives leads containers from create to delete.
func (b *bench) timeLives(ctx context.Context, rt runtime) (create, start, remove sample) {
	for range b.lives {
		took, err := b.life(ctx, rt)
		if err != nil {
			return sample{err: err}, sample{err: err}, sample{err: err}
		}
		for i, s := range []*sample{&create, &start, &remove} {
			s.values = append(s.values, float64(took[i]))
		}
	}
	return create, start, remove
}

// life is how long the create, start and delete of one container take.
func (b *bench) life(ctx context.Context, rt runtime) (took [3]time.Duration, err error) {
	c, err := b.create(ctx, rt)
	if err != nil {
		return took, err
	}
	defer func() { err = errors.Join(err, c.remove()) }()
	took[0] = c.created
	begin := time.Now()
	if _, err := c.command(ctx, "start", c.id); err != nil {
		return took, err
	}
	took[1] = time.Since(begin)
	if _, err := c.command(ctx, "kill", c.id, "KILL"); err != nil {
		return took, err
	}
	if err := c.stopped(ctx); err != nil {
		return took, err
	}
	begin = time.Now()
	if _, err := c.command(ctx, "delete", c.id); err != nil {
		return took, err
	}
	took[2] = time.Since(begin)
	c.deleted = true
	return took, nil
}

// timeCrowds runs hello many times at once.
func (b *bench) timeCrowds(ctx context.Context, rt runtime) (all sample) {
	for range b.crowds {
		took, err := b.timeCrowd(ctx, rt)
		if err != nil {
			return sample{err: err}
		}
		all.values = append(all.values, float64(took))
	}
	return all
}

func (b *bench) timeCrowd(ctx context.Context, rt runtime) (time.Duration, error) {
	var dirs []string
	for range b.parallel {
		dir, err := b.tinyBox("hello")
		if err != nil {
			return 0, err
		}
		defer os.RemoveAll(dir)
		dirs = append(dirs, dir)
	}
	errs := make(chan error)
	begin := time.Now()
	for _, dir := range dirs {
		go func() {
			_, err := hello(ctx, rt, dir)
			errs <- err
		}()
	}
	var all error
	for range dirs {
		all = errors.Join(all, <-errs)
	}
	return time.Since(begin), all
}
