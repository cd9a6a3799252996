package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"garrison/test/bench/report"
)

// A part is a table of lines that are measured together.
type part struct {
	name  string
	lines func(*bench) ([]*report.Line, error)

	// round measures each of the lines once under one runtime. A line that it
	// has no reading for is not for that runtime.
	round func(context.Context, *bench, runtime, []*report.Line) map[string]report.Reading
}

var parts = []part{
	{"micro", guestLines("micro"), guestRound},
	{"macro", jobLines, jobRound},
	{"start", startLines, startRound},
	{"memory", memoryLines, memoryRound},
	{"io", guestLines("io"), guestRound},
}

// take lets each runtime have its turn, A B C A B C, until each has had its
// rounds. A first turn is thrown away: it is for the host's caches.
func (b *bench) take(ctx context.Context, p part, lines []*report.Line, rts []runtime) error {
	if len(lines) == 0 {
		return nil
	}
	most := 0
	for _, rt := range rts {
		most = max(most, rt.Rounds)
	}
	if !b.smoke {
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
