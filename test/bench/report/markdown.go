package report

import (
	"fmt"
	"path/filepath"
	"strings"
)

// top is what BENCHMARKS.md begins with. %[1]s is where the chart is.
const top = "# Benchmarks\n" + `
Written by ` + "`go run ./test/bench -report test/bench/bench.json`" + `: every number below is in that file, but for those that are
marked as reference.

![What each line costs in parts of what it costs under runc](%[1]s)

## Running them

As root, on a machine with Go and apt (what is missing is installed):

    make bench           # everything; about 20 minutes on 2 CPUs
    make bench-micro     # one part: micro, macro, start, memory or io
    make bench-loaded    # on a busy machine, and what its neighbours get: loaded and share, added to bin/bench.json; 10 minutes
    make bench-network   # a container and another machine, added to bin/bench.json; 15 minutes
    make bench-smoke     # every line once, shortened: does it work? Its numbers mean nothing
    make bench-report    # this page and its chart, of what the last make bench found

    PEER=/path/to/runsc PEER_PLATFORM=systrap make bench          # another gVisor than Debian's
    go run ./test/bench -compare old.json new.json                # which medians differ?
    go run ./test/bench -part micro -run ping-pong -only 'runc|Garrison' -rounds 3

Results go to ` + "`bin/bench.json`" + `. Nothing else should run on the machine meanwhile.

## Reading them

The runtimes take turns (A B C A B C …), each as often as the table of runtimes says, after one turn that is thrown away. A
number is the median of its rounds; *IQR* is the interquartile range in per cent of it; */ runc* and */ gVisor* are how often
the median of that runtime goes into this one. **All lines are costs: less is better**, but for share. Each line checks its own result, and
what it printed is compared between runtimes; one that is wrong, late or broken says FAILED, and why. *ref.* marks figures
that were not measured here: present gVisor (August 2026) on systrap, and Linux beside it, on a virtual machine in which
waking an idle CPU takes 35 µs. Their jobs are of the same kind, not the same: compare ratios, not times.
`

// Markdown is the page of the run. chart is the chart's path from the page.
func (r *Run) Markdown(chart string) string {
	var b strings.Builder
	fmt.Fprintf(&b, top, filepath.ToSlash(chart))
	m := r.Machine
	virtual := ""
	if m.Virtual {
		virtual = ", a virtual machine"
	}
	fmt.Fprintf(&b, "\n## This run\n\n%s, in %.0f minutes: %s, %d CPUs, %s%s, Linux %s.\n\n",
		r.Began.Format("2 January 2006"), r.Seconds/60, m.CPU, m.CPUs, m.Memory, virtual, m.Kernel)
	b.WriteString("| runtime | version | rounds | command |\n|---|---|--:|---|\n")
	for _, rt := range r.Runtimes {
		fmt.Fprintf(&b, "| %s | %s | %d | `%s` |\n", rt.Name, rt.Version, rt.Rounds, rt.Command)
	}
	for _, l := range r.LeftOut {
		fmt.Fprintf(&b, "\nLeft out: %s\n", l)
	}
	for _, part := range r.Parts {
		fmt.Fprintf(&b, "\n## %s\n\n%s\n\n", part.Name, part.Means)
		if !part.Began.IsZero() {
			fmt.Fprintf(&b, "Measured apart from the others, on %s.\n\n", part.Began.Format("2 January 2006"))
		}
		r.grid(part).markdown(&b)
		b.WriteString("\n")
		for _, l := range part.Lines {
			fmt.Fprintf(&b, "- **%s**: %s\n", l.Name, l.Means)
		}
		if failures := part.Failures(); len(failures) > 0 {
			fmt.Fprintf(&b, "\nFAILED:\n\n- %s\n", strings.Join(failures, "\n- "))
		}
	}
	return b.String()
}

func (g *grid) markdown(b *strings.Builder) {
	fmt.Fprintf(b, "| %s |\n|---%s|\n", strings.Join(g.head, " | "), strings.Repeat("|--:", len(g.head)-1))
	for _, row := range g.rows {
		fmt.Fprintf(b, "| %s |\n", strings.Join(row, " | "))
	}
}
