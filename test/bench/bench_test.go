package main

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"garrison/test/bench/report"
)

func TestParse(t *testing.T) {
	readings := map[string]report.Reading{}
	other := parse("a warning\n"+
		"result\tgetpid\t107.25\tok\n"+
		"result\tfork\tFAILED\tfork: Resource temporarily\tunavailable\n"+
		"result\tstat\tsoon\tok\n"+
		"result\ttorn\t12\n"+
		"panic: the end\n\n", readings)
	want := map[string]report.Reading{
		"getpid": {Value: 107.25, Check: "ok"},
		"fork":   {Failed: "fork: Resource temporarily\tunavailable"},
		"stat":   {Failed: `the guest said "result\tstat\tsoon\tok"`},
	}
	if !maps.Equal(readings, want) {
		t.Errorf("readings %v, want %v", readings, want)
	}
	if other != "panic: the end" {
		t.Errorf("the last other line is %q", other)
	}
}

// TestNames holds the tables to names that are unique, and the reference
// figures to lines that exist.
func TestNames(t *testing.T) {
	source, err := guestSource.ReadFile("guest/main.c")
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]string{}
	add := func(name, means string) {
		if name == "" || means == "" || names[name] != "" {
			t.Errorf("the line %q means %q, another %q", name, means, names[name])
		}
		names[name] = means
	}
	for _, j := range jobs {
		add(j.name, j.means)
		if j.run == "" {
			t.Errorf("the job %s does nothing", j.name)
		}
	}
	for _, t := range talks {
		add(t.name, t.means)
	}
	for _, s := range shares {
		add(s.name, s.means)
	}
	for _, name := range loadedOps {
		if add(name+beside, "as in micro"); !strings.Contains(string(source), `"`+name+`"`) {
			t.Errorf("the loaded line %q is no operation", name)
		}
	}
	for _, s := range starts {
		add(s.name, s.means)
	}
	for _, m := range memoryTable {
		add(m.name, m.means)
	}
	for _, name := range slices.Sorted(maps.Keys(report.References)) {
		if names[name] == "" && !strings.Contains(string(source), `"`+name+`"`) {
			t.Errorf("there is a reference figure for %q, which is no line", name)
		}
	}
}

func TestField(t *testing.T) {
	file := filepath.Join(t.TempDir(), "status")
	if err := os.WriteFile(file, []byte("voluntary_ctxt_switches:\t12\nnonvoluntary_ctxt_switches:\t3\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if v, err := field(file, "nonvoluntary_ctxt_switches:"); v != 3 || err != nil {
		t.Errorf("the field is %v (%v), want 3", v, err)
	}
	if _, err := field(file, "Pss:"); err == nil {
		t.Error("a field that is not there was found")
	}
}
