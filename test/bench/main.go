// Command bench measures the same work under several OCI runtimes in turn, and
// puts them side by side. BENCHMARKS.md says how to run it and what its lines
// mean.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"

	"garrison/test/bench/report"
)

// options are the command's flags.
type options struct {
	parts, run, only            string
	rounds, slowRounds          int
	smoke, compare, add         bool
	root, clients               string
	runsc, platforms            string
	peer, peerPlatform          string
	out, report, page, chartOut string
}

func main() {
	var o options
	flag.StringVar(&o.parts, "part", "", "the `parts` to measure, of "+strings.Join(partNames(true), ",")+" (default: "+strings.Join(partNames(false), ",")+"; all with -smoke)")
	flag.StringVar(&o.run, "run", "", "measure only the lines whose names match this `regexp`")
	flag.StringVar(&o.only, "only", "", "measure only the runtimes whose names match this `regexp`")
	flag.IntVar(&o.rounds, "rounds", 5, "how often each runtime takes its turn")
	flag.IntVar(&o.slowRounds, "slow-rounds", 3, "how often a gVisor on ptrace does")
	flag.BoolVar(&o.smoke, "smoke", false, "do every line once, shortened, and fail if one has no number")
	flag.StringVar(&o.root, "root", "/var/cache/garrison/bookworm", "the Debian root filesystem (make root)")
	flag.StringVar(&o.clients, "clients", "/var/cache/garrison/network", "the layer that goes over it for the network (make clients-root)")
	flag.StringVar(&o.runsc, "runsc", "bin/runsc", "Garrison's runsc")
	flag.StringVar(&o.platforms, "platforms", "", "Garrison's platforms, with commas between (default: all that `runsc platforms` lists and that work)")
	flag.StringVar(&o.peer, "peer", os.Getenv("PEER"), "gVisor's runsc (default: Debian's, /usr/bin/runsc)")
	flag.StringVar(&o.peerPlatform, "peer-platform", os.Getenv("PEER_PLATFORM"), "gVisor's platform (default: ptrace)")
	flag.StringVar(&o.out, "o", "bin/bench.json", "the `file` that the results go to")
	flag.BoolVar(&o.add, "add", false, "put the parts into that file beside those it has, which must be of this machine")
	flag.StringVar(&o.report, "report", "", "measure nothing: make the page and the chart of this `file` of results")
	flag.BoolVar(&o.compare, "compare", false, "measure nothing: say which medians differ in two files of results, which are the arguments")
	flag.StringVar(&o.page, "page", "BENCHMARKS.md", "the page that -report writes")
	flag.StringVar(&o.chartOut, "chart", "test/bench/chart.svg", "the chart that -report draws")
	flag.Parse()

	if err := run(o); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(o options) error {
	if o.compare {
		return compare(flag.Args())
	}
	if o.report != "" {
		return publish(o)
	}
	if o.parts == "" {
		o.parts = strings.Join(partNames(o.smoke), ",")
	}
	for name := range strings.SplitSeq(o.parts, ",") {
		if !slices.Contains(partNames(true), name) {
			return fmt.Errorf("there is no part %q", name)
		}
	}
	if os.Getuid() != 0 {
		return errors.New("this needs root: it mounts overlays and runs containers")
	}
	if err := isolate(); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	r, err := measure(ctx, o)
	if err != nil {
		return err
	}
	r.Table(os.Stdout)
	failures := r.Failures()
	if o.add {
		if r, err = addTo(o.out, r); err != nil {
			return err
		}
	}
	if err := r.Write(o.out); err != nil {
		return err
	}
	fmt.Printf("\n%s holds the numbers; go run ./test/bench -report %[1]s makes the page and the chart of them.\n", o.out)
	if o.smoke && len(failures) > 0 {
		return fmt.Errorf("%d lines have no number:\n%s", len(failures), strings.Join(failures, "\n"))
	}
	return nil
}

// addTo is the run that a file holds, if there is one, with r's parts.
func addTo(file string, r *report.Run) (*report.Run, error) {
	old, err := report.Read(file)
	if errors.Is(err, fs.ErrNotExist) {
		return r, nil
	}
	if err == nil {
		err = old.Join(r)
	}
	if err != nil {
		return nil, fmt.Errorf("add to %s: %w", file, err)
	}
	return old, nil
}

// publish writes the page, the chart, and the figures of the README.
func publish(o options) error {
	r, err := report.Read(o.report)
	if err != nil {
		return err
	}
	if r.Smoke {
		return fmt.Errorf("%s is of a smoke test: its numbers are no measurements", o.report)
	}
	if err := r.Chart(o.chartOut); err != nil {
		return err
	}
	readme, err := os.ReadFile(readmeFile)
	if err != nil {
		return err
	}
	text, err := r.Readme(string(readme))
	if err != nil {
		return fmt.Errorf("%s: %w", readmeFile, err)
	}
	if err := os.WriteFile(readmeFile, []byte(text), 0o644); err != nil {
		return err
	}
	return os.WriteFile(o.page, []byte(r.Markdown(o.chartOut)), 0o644)
}

const readmeFile = "README.md"

// compare is for two runs of the same thing: how far can they be trusted?
func compare(files []string) error {
	if len(files) != 2 {
		return errors.New("-compare needs two files")
	}
	old, err := report.Read(files[0])
	if err != nil {
		return err
	}
	again, err := report.Read(files[1])
	if err != nil {
		return err
	}
	report.Compare(os.Stdout, old, again)
	return nil
}

// measure runs the parts, and leaves nothing behind.
func measure(ctx context.Context, o options) (*report.Run, error) {
	b, err := newBench(o)
	if err != nil {
		return nil, err
	}
	defer b.close()
	r := &report.Run{Machine: machine(), Began: time.Now().UTC().Truncate(time.Second), Rounds: o.rounds, Smoke: o.smoke}
	rts, leftOut, err := b.runtimes(ctx, o)
	if err != nil {
		return nil, err
	}
	r.LeftOut = leftOut
	for _, rt := range rts {
		r.Runtimes = append(r.Runtimes, rt.Runtime)
	}
	wanted, err := regexp.Compile(o.run)
	if err != nil {
		return nil, err
	}
	for _, p := range parts {
		if !slices.Contains(strings.Split(o.parts, ","), p.name) {
			continue
		}
		lines, err := p.lines(b)
		if err != nil {
			return nil, err
		}
		lines = slices.DeleteFunc(lines, func(l *report.Line) bool { return !wanted.MatchString(l.Name) })
		if err := b.take(ctx, p, lines, rts); err != nil {
			return nil, err
		}
		r.Parts = append(r.Parts, &report.Part{Name: p.name, Means: p.means, Lines: lines})
	}
	r.LeftOut = append(r.LeftOut, b.leftOut...)
	r.Seconds = time.Since(r.Began).Round(time.Second).Seconds()
	r.Finish()
	return r, nil
}
