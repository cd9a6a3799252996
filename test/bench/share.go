package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	goruntime "runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"garrison/test/bench/report"
	"garrison/test/bundle"
)

// A shareLine is one kind of container that busy loops run beside.
type shareLine struct {
	name, means string
	storm       string // what the guest does, see guest/cpu.c
	groups      groups
}

// Groups say which cgroups container and loops are in.
type groups int

const (
	each     groups = iota // the container and each loop has its own
	together               // the container has one, and the loops another
	none                   // config.json names none, and all are where the runtime is called from
)

var shares = []shareLine{
	{"beside getpgid", "the loops beside a container that calls getpgid(2) over and over; it and each of them has a cgroup, of equal weight", "getpgid", each},
	{"beside pread", "the same beside pread(2) of 4 KiB of a file on tmpfs", "pread", each},
	{"beside getpgid, loops together", "beside getpgid(2), and the loops are in one cgroup of the same weight as the container's", "getpgid", together},
	{"beside getpgid, no cgroup", "beside getpgid(2), and `config.json` names no cgroup: the loops are in that which the runtime is called from", "getpgid", none},
}

func shareLines(*bench) (lines []*report.Line, err error) {
	for _, s := range shares {
		lines = append(lines, &report.Line{Name: s.name, Unit: report.Share, Means: s.means})
	}
	return lines, nil
}

func shareRound(ctx context.Context, b *bench, rt runtime, lines []*report.Line) map[string]report.Reading {
	wanted := names(lines)
	readings := map[string]report.Reading{}
	for i, s := range shares {
		slow := b.smoke && rt.Kind == report.GVisor && i > 0 // its delete takes long
		if !wanted[s.name] || slow {
			continue
		}
		if v, err := b.share(ctx, rt, s); err != nil {
			readings[s.name] = report.Failed("%v", err)
		} else {
			readings[s.name] = report.Reading{Value: v}
		}
	}
	return readings
}

// share is how much of all processors busy loops get while a storm goes on.
func (b *bench) share(ctx context.Context, rt runtime, s shareLine) (v float64, err error) {
	dir, err := b.stormBox(s)
	if err != nil {
		return 0, err
	}
	c, err := createOf(ctx, rt, dir)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, c.remove()) }()
	if _, err := c.command(ctx, "start", c.id); err != nil {
		return 0, err
	}
	loops, err := b.beBusy(s.groups)
	defer loops.end()
	if err != nil {
		return 0, err
	}
	sleep(ctx, b.watched/4) // the scheduler's averages, and a kernel's own, take time
	begin, before := time.Now(), loops.cpu()
	sleep(ctx, b.watched)
	took, used := time.Since(begin), loops.cpu()-before
	out, err := c.command(ctx, "state", c.id)
	if err == nil && !strings.Contains(out, `"running"`) {
		err = fmt.Errorf("the storm has ended: %s", out)
	}
	return 100 * float64(used) / float64(took) / float64(len(loops)), err
}

// stormBox is a bundle of the tiny root whose program makes the storm.
func (b *bench) stormBox(s shareLine) (dir string, err error) {
	spec := bundle.Spec("/guest", "storm", s.storm, seconds(busyLimit))
	spec.Root.Path = b.tiny
	if s.groups != none {
		return b.box(b.ram, spec)
	}
	if dir, err = os.MkdirTemp(b.ram, "box"); err != nil {
		return "", err
	}
	return dir, bundle.Write(dir, spec)
}

// busyLimit ends a loop or a storm that has been forgotten.
const busyLimit = 5 * time.Minute

// Loops are processes of this host that compute, one for each processor.
type loops []*exec.Cmd

// beBusy starts them. The caller ends what there is, even if there is an error.
func (b *bench) beBusy(in groups) (l loops, err error) {
	for i := range goruntime.NumCPU() {
		cmd := exec.Command(b.tiny+"/guest", "storm", "nothing", seconds(busyLimit))
		if err := cmd.Start(); err != nil {
			return l, err
		}
		l = append(l, cmd)
		switch in {
		case each:
			err = b.group.neighbour(cmd.Process.Pid, i)
		case together:
			err = b.group.neighbour(cmd.Process.Pid, 0)
		}
		if err != nil {
			return l, err
		}
	}
	return l, nil
}

func (l loops) end() {
	for _, cmd := range l {
		_ = cmd.Process.Kill() // it may have ended
		_ = cmd.Wait()
	}
}

// cpu is the CPU time that the loops have used so far.
func (l loops) cpu() (sum time.Duration) {
	for _, cmd := range l {
		var t unix.Timespec
		const sched = 2 // CPUCLOCK_SCHED, see clock_getcpuclockid(3)
		if unix.ClockGettime(int32(^cmd.Process.Pid)<<3|sched, &t) == nil {
			sum += time.Duration(t.Nano())
		}
	}
	return sum
}
