package report

import (
	"fmt"
	"io"
	"math"
	"strings"
	"text/tabwriter"
)

// A grid is a table of one part, as cells.
type grid struct {
	head []string
	rows [][]string
}

// What the columns beside a runtime's medians are called.
const (
	toRunc   = "/ runc"
	toGVisor = "/ gVisor"
	iqr      = "IQR"
)

// grid is the table of a part.
func (r *Run) grid(p *Part) *grid {
	g := &grid{head: r.head()}
	for _, l := range p.Lines {
		g.rows = append(g.rows, r.row(l))
	}
	g.dropEmpty()
	return g
}

func (r *Run) head() []string {
	h := []string{""}
	for _, rt := range r.Runtimes {
		h = append(h, rt.Name, toRunc, toGVisor, iqr)
	}
	return append(h, "ref. native", "ref. gVisor systrap", "ref. ratio")
}

func (r *Run) row(l *Line) []string {
	base, peer := l.Results["runc"], l.Results[r.first(GVisor)]
	row := []string{l.Name}
	for _, rt := range r.Runtimes {
		res := l.Results[rt.Name]
		cells := make([]string, 4)
		switch {
		case res == nil:
			cells[0] = "–"
		case res.Failed != "":
			cells[0] = "FAILED"
		default:
			cells[0] = quantity(res.Median, l.Unit)
			if s, ok := res.spread(); ok {
				cells[3] = fmt.Sprintf("%.0f %%", 100*s)
			}
		}
		if x, ok := ratio(res, base); ok && res != base {
			cells[1] = "×" + three(x)
		}
		if x, ok := ratio(res, peer); ok && rt.Kind == Garrison {
			cells[2] = "×" + three(x)
		}
		row = append(row, cells...)
	}
	if ref, ok := References[l.Name]; ok {
		return append(row, quantity(ref.Native, Nanoseconds), quantity(ref.GVisor, Nanoseconds), "×"+three(ref.GVisor/ref.Native))
	}
	return append(row, "", "", "")
}

// dropEmpty removes the columns in which no row says anything.
func (g *grid) dropEmpty() {
	for c := len(g.head) - 1; c > 0; c-- {
		empty := true
		for _, row := range g.rows {
			empty = empty && row[c] == ""
		}
		if !empty {
			continue
		}
		g.head = append(g.head[:c:c], g.head[c+1:]...)
		for i, row := range g.rows {
			g.rows[i] = append(row[:c:c], row[c+1:]...)
		}
	}
}

// three is v with three significant digits, and no exponent.
func three(v float64) string {
	if v == 0 {
		return "0"
	}
	digits := 2 - int(math.Floor(math.Log10(math.Abs(v))))
	return fmt.Sprintf("%.*f", max(0, digits), v)
}

// quantity is a value with its unit, for people.
func quantity(v float64, u Unit) string {
	switch {
	case u == WakeUps:
		return three(v)
	case u != Nanoseconds:
		return three(v) + " " + string(u)
	case v < 1e3:
		return three(v) + " ns"
	case v < 1e6:
		return three(v/1e3) + " µs"
	case v < 1e9:
		return three(v/1e6) + " ms"
	}
	return three(v/1e9) + " s"
}

// Table writes the numbers of all parts, aligned, and why others are missing.
func (r *Run) Table(w io.Writer) {
	for _, p := range r.Parts {
		g := r.grid(p)
		t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
		fmt.Fprintf(t, "\n%s%s\t\n", p.Name, strings.Join(g.head, "\t"))
		for _, row := range g.rows {
			fmt.Fprintf(t, "%s\t\n", strings.Join(row, "\t"))
		}
		t.Flush()
	}
	for _, f := range append(r.Failures(), r.LeftOut...) {
		fmt.Fprintln(w, "\n"+f)
	}
}
