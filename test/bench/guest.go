package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"garrison/test/bench/report"
)

// opLimit is how long one operation of the guest may take, with all of its
// repetitions.
const opLimit = 20 * time.Second

// guestLines are the guest's own: its table is in guest/main.c.
func guestLines(part string) func(*bench) ([]*report.Line, error) {
	return func(b *bench) (lines []*report.Line, err error) {
		out, err := onHost("", nil, b.layer+"/bench/guest", "list")
		if err != nil {
			return nil, err
		}
		for l := range strings.Lines(out) {
			if f := strings.Split(strings.TrimSpace(l), "\t"); len(f) == 3 && f[0] == part {
				lines = append(lines, &report.Line{Name: f[1], Unit: report.Nanoseconds, Means: f[2]})
			}
		}
		return lines, nil
	}
}

func microRound(ctx context.Context, b *bench, rt runtime, lines []*report.Line) map[string]report.Reading {
	return b.operations(ctx, rt, b.ram, lines)
}

func ioRound(ctx context.Context, b *bench, rt runtime, lines []*report.Line) map[string]report.Reading {
	return b.operations(ctx, rt, b.dir, lines)
}

// operations are the guest's, with what they write below a directory.
func (b *bench) operations(ctx context.Context, rt runtime, below string, lines []*report.Line) map[string]report.Reading {
	var names []string
	for _, l := range lines {
		names = append(names, l.Name)
	}
	args := []string{"run", strconv.Itoa(b.micros), strconv.Itoa(b.repeats), seconds(opLimit)}
	return b.ask(ctx, rt, question{args, names, opLimit, below})
}

func seconds(d time.Duration) string { return strconv.Itoa(int(d.Seconds())) }

// A question is what the guest is asked: to do what args say with each name,
// within a limit for each, with what is written going below a directory.
type question struct {
	args, names []string
	limit       time.Duration
	below       string
}

// ask asks it in one container. One that ends early takes the name that it was
// at with it, and the others get another container. One that hangs, in spite of
// the guest's own limit on each name, is the last; so is a second one that does
// nothing at all.
func (b *bench) ask(ctx context.Context, rt runtime, q question) map[string]report.Reading {
	readings := map[string]report.Reading{}
	for again := false; len(q.names) > 0; again = true {
		late, why := b.askOnce(ctx, rt, q, readings)
		rest := slices.DeleteFunc(slices.Clone(q.names), func(n string) bool {
			_, ok := readings[n]
			return ok
		})
		if len(rest) == 0 {
			break
		}
		if late || again && len(rest) == len(q.names) {
			for _, n := range rest {
				readings[n] = report.Failed("%s", why)
			}
			break
		}
		readings[rest[0]] = report.Failed("%s", why)
		q.names = rest[1:]
	}
	return readings
}

// askOnce runs one container, and keeps what it says in readings. why is how it
// ended.
func (b *bench) askOnce(ctx context.Context, rt runtime, q question, readings map[string]report.Reading) (late bool, why string) {
	dir, undo, err := b.debianBox(q.below, slices.Concat(q.args, q.names)...)
	if err != nil {
		return true, err.Error()
	}
	defer undo()
	limit := q.limit * time.Duration(4+len(q.names)) / 4 // few need all of theirs
	result, err := rt.oci.Run(ctx, dir, limit)
	if err != nil {
		return true, err.Error()
	}
	other := parse(result.Output, readings)
	if result.Late {
		return true, fmt.Sprintf("the container did not end within %v: %s", limit, other)
	}
	return false, fmt.Sprintf("the container ended here with %d: %s", result.Code, other)
}

// parse keeps the guest's results, and returns the last line that is none.
func parse(output string, readings map[string]report.Reading) (other string) {
	for l := range strings.Lines(output) {
		l = strings.TrimSpace(l)
		f := strings.SplitN(l, "\t", 4)
		if len(f) != 4 || f[0] != "result" {
			if l != "" {
				other = l
			}
			continue
		}
		if f[2] == "FAILED" {
			readings[f[1]] = report.Failed("%s", f[3])
		} else if v, err := strconv.ParseFloat(f[2], 64); err != nil {
			readings[f[1]] = report.Failed("the guest said %q", l)
		} else {
			readings[f[1]] = report.Reading{Value: v, Check: f[3]}
		}
	}
	return other
}
