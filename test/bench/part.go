package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"time"

	"garrison/test/bench/report"
)

// A part is a table of lines that are measured together.
type part struct {
	name, means string
	lines       func(*bench) ([]*report.Line, error)

	// apart says that it is no part of a run of everything, which would take too
	// long, and most says how many rounds it has at most; 0: as many as others.
	apart bool
	most  int

	// round measures each of the lines once under one runtime. A line that it
	// has no reading for is not for that runtime.
	round func(context.Context, *bench, runtime, []*report.Line) map[string]report.Reading
}

var parts = []part{
	{name: "micro", lines: guestLines("micro"), round: microRound,
		means: "One operation of the kernel, by a static C program (`test/bench/guest`) in one container per round: it finds " +
			"how many operations take 40 ms and does as many, in five processes one after the other, of which the median is kept. " +
			"The number is per operation. " +
			"*root* is an overlay, as Docker makes it, whose upper layer is in memory, so that no disk is measured."},
	{name: "macro", lines: jobLines, round: jobRound,
		means: "Real programs of Debian bookworm, in a root like that, timed by the monotonic clock inside the container, " +
			"so that its start does not count."},
	{name: "start", lines: startLines, round: startRound,
		means: "What a runtime's commands take, with a root that holds one static program: wall time, seen from the host, " +
			"unless it says otherwise. A round is the median of 15 runs, five lives and three crowds."},
	{name: "memory", lines: memoryLines, round: memoryRound,
		means: "Sandboxes with a static program that sleeps for ever. All that is left running for a sandbox counts, " +
			"whoever's it is: the program, the kernel, its helpers."},
	{name: "io", lines: guestLines("io"), round: ioRound,
		means: "Buffered reads and writes of files by the C program of micro, timed as those are, with contents that are checked. " +
			"The number is per operation. *root* is an overlay, *bind mount* a directory of the host, both on its disk."},
	{name: "loaded", lines: loadedLines, round: loadedRound, apart: true, most: 5,
		means: "Lines of micro on a machine that is busy: beside one busy loop per processor, which are processes of the host, " +
			"each in a cgroup of the same weight as the container's. It is wall time, as a user sees it, with all waiting for " +
			"processors in it: the mean of one repetition of 400 ms, since a median of short ones would be of those that " +
			"had a processor to themselves. Five rounds, none thrown away."},
	{name: "network", lines: networkLines, round: networkRound, apart: true, most: 5,
		means: "A container and another machine, which is another network namespace of this host, with a veth(4) between them, " +
			"or a relay where segments are lost: both ends have CUBIC then. " +
			"Servers run in the container and clients outside, but for lines *from inside*. gVisor has its own network stack, as Garrison " +
			"has (`--network=sandbox`). Both ends share the processors: what is spent at one is missing at the other. None thrown away."},
	{name: "share", lines: shareLines, round: shareRound, apart: true, most: 3,
		means: "What those busy loops get of all processors beside a container that makes one system call after another, in 3 seconds. " +
			"**More is better**: what they lose to what they get beside runc, they lose to the runtime. Three rounds, none thrown away."},
}

// partNames are those that a run of everything has, or with apart all.
func partNames(apart bool) (names []string) {
	for _, p := range parts {
		if apart || !p.apart {
			names = append(names, p.name)
		}
	}
	return names
}

// take lets each runtime have its turn, A B C A B C, until each has had its
// rounds. A first turn is thrown away: it is for the host's caches, which a part
// that is measured apart needs least.
func (b *bench) take(ctx context.Context, p part, lines []*report.Line, rts []runtime) error {
	if len(lines) == 0 {
		return nil
	}
	most := 0
	rts = slices.Clone(rts)
	for i := range rts {
		if p.most > 0 {
			rts[i].Rounds = min(rts[i].Rounds, p.most)
		}
		most = max(most, rts[i].Rounds)
	}
	if !b.smoke && !p.apart {
		p.round(ctx, b, rts[0], lines)
	}
	for n := range most {
		for _, rt := range rts {
			if n >= rt.Rounds {
				continue
			}
			begin := time.Now()
			readings := p.round(ctx, b, rt, lines)
			if left := b.group.sweep(); left > 0 {
				fmt.Fprintf(os.Stderr, "bench: %s left %d processes, which have been killed\n", rt.Name, left)
			}
			if err := ctx.Err(); err != nil {
				return err
			}
			for _, l := range lines {
				if r, ok := readings[l.Name]; ok {
					l.Add(rt.Name, r)
				}
			}
			fmt.Fprintf(os.Stderr, "%s: round %d of %d under %s: %.1f s\n", p.name, n+1, rt.Rounds, rt.Name, time.Since(begin).Seconds())
		}
	}
	return nil
}

// names is the set of the lines' names.
func names(lines []*report.Line) map[string]bool {
	set := make(map[string]bool, len(lines))
	for _, l := range lines {
		set[l.Name] = true
	}
	return set
}
