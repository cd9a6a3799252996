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
    make bench-smoke     # every line once, shortened: does it work? Its numbers mean nothing
    make bench-report    # this page and its chart, of what the last make bench found

    PEER=/path/to/runsc PEER_PLATFORM=systrap make bench          # another gVisor than Debian's
    go run ./test/bench -part micro -run ping-pong -only 'runc|Garrison' -rounds 3

Results go to ` + "`bin/bench.json`" + `. Nothing else should run on the machine meanwhile.

## Reading them

The runtimes take turns (A B C A B C …), each as often as the table of runtimes says, after one turn that is thrown away. A
number is the median of its rounds; *IQR* is the interquartile range in per cent of it; */ runc* and */ gVisor* are how often
the median of that runtime goes into this one. **All lines are costs: less is better.** Each line checks its own result, and
what it printed is compared between runtimes; one that is wrong, late or broken says FAILED, and why. *ref.* marks figures
that were not measured here: present gVisor (August 2026) on systrap, and Linux beside it, on a virtual machine in which
waking an idle CPU takes 35 µs. Their jobs are of the same kind, not the same: compare ratios, not times.
`

// abouts are what the parts have in common.
var abouts = map[string]string{
	"micro":  "One operation of the kernel, by a static C program (`test/bench/guest`) in one container per round. It finds how many operations take 60 ms, does as many five times, and keeps the median; the number is per operation. *root* is an overlay on the host's disk, as Docker makes it.",
	"macro":  "Real programs of Debian bookworm, with the root on an overlay on the host's disk; timed by the monotonic clock inside the container, so that its start does not count.",
	"start":  "What a runtime's commands take, with a root that holds one static program. Wall time, seen from the host; a round is the median of five.",
	"memory": "Sandboxes that run a static program which sleeps for ever. All processes of a sandbox count: the kernel, its helpers and the program; the short-lived commands do not.",
	"io":     "Buffered reads and writes of files by the same C program, timed as those of micro are, and with contents that are checked. The number is per operation. *root* is an overlay, *bind mount* a directory of the host, both on the host's disk.",
}

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
	for _, g := range r.grids() {
		fmt.Fprintf(&b, "\n## %s\n\n%s\n\n", g.part, abouts[g.part])
		g.markdown(&b)
		b.WriteString("\n")
		for _, l := range r.Lines {
			if l.Part == g.part {
				fmt.Fprintf(&b, "- **%s**: %s\n", l.Name, l.Means)
			}
		}
		r.reasons(&b, g.part)
	}
	return b.String()
}

func (g *grid) markdown(b *strings.Builder) {
	fmt.Fprintf(b, "| %s |\n|---%s|\n", strings.Join(g.head, " | "), strings.Repeat("|--:", len(g.head)-1))
	for _, row := range g.rows {
		fmt.Fprintf(b, "| %s |\n", strings.Join(row, " | "))
	}
}

// reasons say why lines of the part have no number.
func (r *Run) reasons(b *strings.Builder, part string) {
	first := true
	for _, f := range r.Failures() {
		if what, ok := strings.CutPrefix(f, part+", "); ok {
			if first {
				b.WriteString("\nFAILED:\n\n")
				first = false
			}
			fmt.Fprintf(b, "- %s\n", what)
		}
	}
}
