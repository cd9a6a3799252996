package filter

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"gvisor.dev/gvisor/pkg/bpf"
	"gvisor.dev/gvisor/pkg/seccomp"
)

// A Table is the host calls that one feature needs.
type Table struct {
	Feature string
	Calls   []Call
}

// A Call is one host call that is allowed. The same call may be in several
// entries, also of several tables: it is allowed if one of them matches.
type Call struct {
	Name string
	Nr   uintptr
	Args seccomp.PerArg // what the arguments must be; nil ones are free
}

// Words for tables.
type (
	args = seccomp.PerArg
	eq   = seccomp.EqualTo
)

// free is an argument that is free, before one that is not.
var free = seccomp.AnyValue{}

// bits allows the flags in mask and no others.
func bits(mask uintptr) seccomp.ValueMatcher { return seccomp.BitsAllowlist(mask) }

// A Mode is what happens to a call that no table lists.
type Mode int

const (
	// Kill ends the process.
	Kill Mode = iota
	// Trap raises SIGSYS, which makes Go print where the call was made.
	Trap
)

// Compile makes one program of tables.
func Compile(mode Mode, tables ...Table) ([]bpf.Instruction, error) {
	rules := seccomp.NewSyscallRules()
	for _, t := range tables {
		for _, c := range t.Calls {
			var r seccomp.SyscallRule = c.Args
			if c.Args == (seccomp.PerArg{}) {
				r = seccomp.MatchAll{}
			}
			rules.Add(c.Nr, r)
		}
	}
	action := seccomp.KillProcess
	if mode == Trap {
		action = seccomp.Trap
	}
	p := seccomp.Program{
		RuleSets: []seccomp.RuleSet{{Rules: rules, Action: seccomp.Allow}},
		Options:  seccomp.ProgramOptions{DefaultAction: action, BadArchAction: seccomp.KillProcess, SkipOptimizations: true},
	}
	program, _, err := p.Build()
	if err != nil {
		return nil, fmt.Errorf("seccomp: %w", err)
	}
	return program, nil
}

// Install confines every thread of this process to tables. It can't be undone.
func Install(mode Mode, tables ...Table) error {
	program, err := Compile(mode, tables...)
	if err != nil {
		return err
	}
	if err := seccomp.SetFilter(program); err != nil {
		return fmt.Errorf("seccomp: %w", err)
	}
	return nil
}

// Print writes tables for people, one line a call.
func Print(w io.Writer, tables ...Table) error {
	for _, t := range tables {
		lines := make([]string, 0, len(t.Calls))
		for _, c := range t.Calls {
			lines = append(lines, c.String())
		}
		slices.Sort(lines)
		if _, err := fmt.Fprintf(w, "%s\n  %s\n", t.Feature, strings.Join(lines, "\n  ")); err != nil {
			return err
		}
	}
	return nil
}

// String is the call with what its arguments must be: "madvise(*, *, == 4)".
func (c Call) String() string {
	last := -1
	for i, a := range c.Args {
		if a != nil {
			last = i
		}
	}
	if last < 0 {
		return c.Name
	}
	var words []string
	for _, a := range c.Args[:last+1] {
		word := "*"
		if a != nil && a != seccomp.ValueMatcher(free) {
			word = strings.TrimSpace(a.String())
		}
		words = append(words, word)
	}
	return c.Name + "(" + strings.Join(words, ", ") + ")"
}
