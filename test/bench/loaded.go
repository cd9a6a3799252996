package main

import (
	"context"
	"fmt"
	"strings"

	"garrison/test/bench/report"
)

// beside is what the name of a line of micro has in addition where that is
// measured on a loaded machine.
const beside = ", loaded"

// loadedOps are those lines of micro.
var loadedOps = []string{
	"CPU only", "getppid", "pread 4 KiB, tmpfs", "stat, tmpfs", "mmap and munmap 64 KiB", "first touch of a page",
	"fork, exit and wait", "vfork and exec", "pipe ping-pong", "futex ping-pong",
}

func loadedLines(b *bench) (lines []*report.Line, err error) {
	micro, err := guestLines("micro")(b)
	if err != nil {
		return nil, err
	}
	of := map[string]*report.Line{}
	for _, l := range micro {
		of[l.Name] = l
	}
	for _, name := range loadedOps {
		l := of[name]
		if l == nil {
			return nil, fmt.Errorf("micro has no line %q", name)
		}
		l.Name += beside
		lines = append(lines, l)
	}
	return lines, nil
}

// loadedAim is how long one repetition takes, in microseconds: many turns of the
// scheduler, so that its mean is what a user waits.
const loadedAim = 400_000

// loadedRound is one of micro beside busy loops, each of which has a cgroup.
func loadedRound(ctx context.Context, b *bench, rt runtime, lines []*report.Line) map[string]report.Reading {
	readings := map[string]report.Reading{}
	loops, err := b.beBusy(each)
	defer loops.end()
	if err != nil {
		for _, l := range lines {
			readings[l.Name] = report.Failed("%v", err)
		}
		return readings
	}
	var ops []*report.Line
	for _, l := range lines {
		ops = append(ops, &report.Line{Name: strings.TrimSuffix(l.Name, beside)})
	}
	heavy := *b
	if heavy.repeats = 1; !b.smoke {
		heavy.micros = loadedAim
	}
	for name, r := range heavy.operations(ctx, rt, b.ram, ops) {
		readings[name+beside] = r
	}
	return readings
}
