// Package report is what a run of the benchmarks found: its numbers, their
// statistics, and how they are shown (a table, a Markdown page, a chart). It
// knows nothing of how they were measured.
package report

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"time"
)

// A Run is everything that one run of the command found. It is bench.json.
type Run struct {
	Machine  Machine
	Began    time.Time
	Seconds  float64 // how long all of it took
	Rounds   int
	Smoke    bool `json:",omitempty"` // shortened: its numbers are no measurements
	Runtimes []Runtime
	LeftOut  []string `json:",omitempty"` // runtimes that were not measured, and why
	Parts    []*Part
}

// Machine is the facts about the host that the numbers depend on.
type Machine struct {
	CPU     string
	CPUs    int
	Memory  string
	Kernel  string
	Virtual bool // the CPU says that there is a hypervisor
}

// A Kind is whose runtime one is.
type Kind string

const (
	Native   Kind = "native" // runc and its like: the host's own kernel
	GVisor   Kind = "gVisor"
	Garrison Kind = "Garrison"
)

// A Runtime is a column.
type Runtime struct {
	Name    string
	Kind    Kind
	Version string
	Command string // how it is called, its flags included
	Rounds  int
}

// A Unit is what the numbers of a line count. All but Share are costs, of which
// less is better.
type Unit string

const (
	Nanoseconds Unit = "ns"
	MiB         Unit = "MiB"
	WakeUps     Unit = "wake-ups"
	Share       Unit = "%"
)

// A Part is lines that are measured together, in the same way.
type Part struct {
	Name, Means string
	Began       time.Time `json:",omitzero"` // if it was measured apart from the others
	Lines       []*Line
}

// A Line is one workload, and how each runtime did, by its name. A runtime that
// was not measured is not there.
type Line struct {
	Name    string
	Unit    Unit
	Means   string // its line in the glossary
	Results map[string]*Result
}

// A Reading is what one round found for one line.
type Reading struct {
	Value  float64
	Check  string // must be the same in every round under every runtime
	Failed string // why there is no value
}

// Failed is a reading that is none, with the reason.
func Failed(format string, args ...any) Reading { return Reading{Failed: fmt.Sprintf(format, args...)} }

// A Result is the readings of one line under one runtime, and what they come
// to. One that failed in any round has failed.
type Result struct {
	Readings []Reading `json:"-"`

	N                             int
	Min, Q1, Median, Q3, Max, IQR float64
	Failed                        string `json:",omitempty"`
}

// Add adds a round's reading.
func (l *Line) Add(runtime string, r Reading) {
	if l.Results == nil {
		l.Results = map[string]*Result{}
	}
	if l.Results[runtime] == nil {
		l.Results[runtime] = &Result{}
	}
	l.Results[runtime].Readings = append(l.Results[runtime].Readings, r)
}

// Finish works out the results of all readings, and compares the checks with
// the first runtime's that has one.
func (r *Run) Finish() {
	for _, p := range r.Parts {
		for _, l := range p.Lines {
			l.finish(r.Runtimes)
		}
	}
}

func (l *Line) finish(rts []Runtime) {
	want, by := "", ""
	for _, rt := range rts {
		res := l.Results[rt.Name]
		if res == nil {
			continue
		}
		for _, reading := range res.Readings {
			if by == "" && reading.Failed == "" {
				want, by = reading.Check, rt.Name
			}
			if reading.Failed == "" && reading.Check != want {
				reading.Failed = fmt.Sprintf("its result is %q, under %s %q", reading.Check, by, want)
			}
			if reading.Failed != "" && res.Failed == "" {
				res.Failed = reading.Failed
			}
		}
		res.summarise()
	}
}

// Failures are the lines of all parts that have no number, a sentence each.
func (r *Run) Failures() (all []string) {
	for _, p := range r.Parts {
		for _, f := range p.Failures() {
			all = append(all, p.Name+": "+f)
		}
	}
	return all
}

// Failures are the lines that have no number, a sentence each. A line that was
// measured under no runtime is one too.
func (p *Part) Failures() (all []string) {
	for _, l := range p.Lines {
		if len(l.Results) == 0 {
			all = append(all, l.Name+": not measured")
		}
		for _, rt := range slices.Sorted(maps.Keys(l.Results)) {
			if res := l.Results[rt]; res.Failed != "" {
				all = append(all, fmt.Sprintf("%s, %s: %s", l.Name, rt, res.Failed))
			}
		}
	}
	return all
}

// Write writes the run to a file as JSON.
func (r *Run) Write(file string) error {
	b, err := json.MarshalIndent(r, "", "\t")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(b, '\n'), 0o644)
}

// Read reads what Write wrote.
func Read(file string) (*Run, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	r := new(Run)
	if err := json.Unmarshal(b, r); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return r, nil
}
