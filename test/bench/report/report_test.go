package report

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestQuantile(t *testing.T) {
	for _, c := range []struct {
		values []float64
		q      float64
		want   float64
	}{
		{[]float64{7}, 0.5, 7},
		{[]float64{7}, 0.25, 7},
		{[]float64{3, 1, 2}, 0.5, 2},
		{[]float64{4, 1, 3, 2}, 0.5, 2.5},
		{[]float64{5, 4, 3, 2, 1}, 0.25, 2},
		{[]float64{5, 4, 3, 2, 1}, 0.75, 4},
		{[]float64{1, 2, 3, 4}, 0.25, 1.75},
		{[]float64{1, 9}, 1, 9},
	} {
		if got := Quantile(c.values, c.q); got != c.want {
			t.Errorf("Quantile(%v, %v) = %v, want %v", c.values, c.q, got, c.want)
		}
	}
}

// sample is a run of three runtimes in which all that can happen to a line does.
func sample() *Run {
	r := &Run{
		Runtimes: []Runtime{
			{Name: "runc", Kind: Native, Rounds: 3},
			{Name: "gVisor ptrace", Kind: GVisor, Rounds: 1},
			{Name: "Garrison ptrace", Kind: Garrison, Rounds: 3},
		},
	}
	add := func(l *Line, runtime string, readings ...Reading) {
		for _, x := range readings {
			l.Add(runtime, x)
		}
	}
	getpid := &Line{Name: "getpid", Unit: Nanoseconds, Means: "nothing"}
	add(getpid, "runc", Reading{Value: 100}, Reading{Value: 90}, Reading{Value: 110})
	add(getpid, "gVisor ptrace", Reading{Value: 10_000})
	add(getpid, "Garrison ptrace", Reading{Value: 2000}, Reading{Value: 2000}, Reading{Value: 2000})
	wrong := &Line{Name: "wrong", Unit: Nanoseconds, Means: "sums"}
	add(wrong, "runc", Failed("no luck"), Reading{Value: 5, Check: "42"})
	add(wrong, "gVisor ptrace", Reading{Value: 5, Check: "42"})
	add(wrong, "Garrison ptrace", Reading{Value: 1, Check: "42"}, Reading{Value: 1, Check: "43"})
	idle := &Line{Name: "wake-ups", Unit: WakeUps, Means: "sleep"}
	add(idle, "runc", Reading{})
	add(idle, "Garrison ptrace", Reading{Value: 3})
	never := &Line{Name: "never", Unit: MiB, Means: "not done"}
	r.Parts = []*Part{{Name: "micro", Means: "Calls.", Lines: []*Line{getpid, wrong}}, {Name: "memory", Lines: []*Line{idle, never}}}
	r.Finish()
	return r
}

func TestFinish(t *testing.T) {
	r := sample()
	got := r.Parts[0].Lines[0].Results["runc"]
	if got.N != 3 || got.Min != 90 || got.Q1 != 95 || got.Median != 100 || got.Q3 != 105 || got.Max != 110 || got.IQR != 10 {
		t.Errorf("the result of 100, 90, 110 is %+v", got)
	}
	want := []string{
		`micro: wrong, Garrison ptrace: its result is "43", under runc "42"`,
		"micro: wrong, runc: no luck",
		"memory: never: not measured",
	}
	if got := r.Failures(); strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("failures:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestRows(t *testing.T) {
	r := sample()
	for i, want := range []string{
		"getpid|100 ns|||10 %|10.0 µs|×100|||2.00 µs|×20.0|×0.200|0 %|107 ns|4.10 µs|×38.3",
		"wrong|FAILED||||5.00 ns||||FAILED||||||",
		"wake-ups|0||||–||||3.00||||||",
		"never|–||||–||||–||||||",
	} {
		l := append(r.Parts[0].Lines, r.Parts[1].Lines...)[i]
		if got := strings.Join(r.row(l), "|"); got != want {
			t.Errorf("row of %s:\n%s\nwant:\n%s", l.Name, got, want)
		}
	}
	g := r.grid(r.Parts[1])
	if got, want := strings.Join(g.head, "|"), "|runc|gVisor ptrace|Garrison ptrace"; got != want {
		t.Errorf("the columns of memory are %s, want %s", got, want)
	}
}

func TestQuantity(t *testing.T) {
	for _, c := range []struct {
		v    float64
		u    Unit
		want string
	}{
		{0, Nanoseconds, "0 ns"}, {20.5, Nanoseconds, "20.5 ns"}, {4100, Nanoseconds, "4.10 µs"},
		{35_400_000, Nanoseconds, "35.4 ms"}, {12e9, Nanoseconds, "12.0 s"}, {123.4, MiB, "123 MiB"}, {0.2512, MiB, "0.251 MiB"}, {47.11, Share, "47.1 %"},
	} {
		if got := quantity(c.v, c.u); got != c.want {
			t.Errorf("quantity(%v, %s) = %q, want %q", c.v, c.u, got, c.want)
		}
	}
}

func TestWrittenAndRead(t *testing.T) {
	file := filepath.Join(t.TempDir(), "bench.json")
	r := sample()
	if err := r.Write(file); err != nil {
		t.Fatal(err)
	}
	back, err := Read(file)
	if err != nil {
		t.Fatal(err)
	}
	var a, b bytes.Buffer
	r.Table(&a)
	back.Table(&b)
	if a.String() != b.String() || r.Markdown("c.svg") != back.Markdown("c.svg") {
		t.Errorf("what was read shows as\n%s\nwhat was written as\n%s", &b, &a)
	}
}

func TestJoin(t *testing.T) {
	r, later := sample(), sample()
	later.Began = time.Date(2026, 11, 28, 0, 0, 0, 0, time.UTC)
	later.Parts = later.Parts[:1]
	later.Parts[0].Lines = later.Parts[0].Lines[:1]
	later.Parts = append(later.Parts, &Part{Name: "share"})
	later.Runtimes = append(later.Runtimes, Runtime{Name: "crun"})
	if err := r.Join(later); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, p := range r.Parts {
		names = append(names, fmt.Sprintf("%s of %d: %v", p.Name, len(p.Lines), p.Began.IsZero()))
	}
	if got, want := strings.Join(names, ", "), "micro of 1: false, memory of 2: true, share of 0: false"; got != want {
		t.Errorf("joined: %s, want %s", got, want)
	}
	if n := len(r.Runtimes); n != 4 || r.Runtimes[3].Name != "crun" {
		t.Errorf("there are %d runtimes: %v", n, r.Runtimes)
	}
	later.Runtimes[0].Version = "another"
	if err := r.Join(later); err == nil {
		t.Error("results of two versions of a runtime were joined")
	}
	if err := r.Join(&Run{Machine: Machine{CPUs: 3}}); err == nil {
		t.Error("results of two machines were joined")
	}
}

func TestCompare(t *testing.T) {
	old, again := sample(), sample()
	again.Parts[0].Lines[0].Results["runc"].Median = 130
	var b bytes.Buffer
	Compare(&b, old, again)
	want := "micro: getpid, runc: 100 ns, then 130 ns\n7 of 8 medians (88 %) are within 15 % of each other\n"
	if b.String() != want {
		t.Errorf("compared:\n%s\nwant:\n%s", &b, want)
	}
}

func TestChart(t *testing.T) {
	file := filepath.Join(t.TempDir(), "chart.svg")
	if err := sample().Chart(file); err != nil {
		t.Fatal(err)
	}
	svg, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"<svg", ">getpid<", ">×1<", ">gVisor ptrace<", ">Garrison ptrace<", ",sans-serif"} {
		if !bytes.Contains(svg, []byte(want)) {
			t.Errorf("the chart has no %s", want)
		}
	}
}

// TestPage holds the page to the numbers that it is said to be made of.
func TestPage(t *testing.T) {
	r, err := Read("../bench.json")
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("../../../BENCHMARKS.md")
	if err != nil {
		t.Fatal(err)
	}
	if string(page) != r.Markdown("test/bench/chart.svg") {
		t.Error("BENCHMARKS.md is not what test/bench/bench.json makes (make bench-report)")
	}
	readme, err := os.ReadFile("../../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	if text, err := r.Readme(string(readme)); err != nil || text != string(readme) {
		t.Errorf("README.md has other figures than test/bench/bench.json (make bench-report): %v", err)
	}
}
