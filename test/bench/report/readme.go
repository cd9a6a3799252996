package report

import (
	"fmt"
	"slices"
	"strings"
)

// headline is the lines that the README shows.
var headline = []string{"getppid", "run", "1 idle sandbox"}

// What the figures of the README stand between.
const (
	figuresBegin = "<!-- figures: make bench-report writes them -->\n"
	figuresEnd   = "<!-- end of the figures -->\n"
)

// Readme is the text of a README with this run's medians for its figures.
func (r *Run) Readme(text string) (string, error) {
	before, rest, begun := strings.Cut(text, figuresBegin)
	_, after, ended := strings.Cut(rest, figuresEnd)
	if !begun || !ended {
		return "", fmt.Errorf("no place for figures, which is between %q and %q", figuresBegin, figuresEnd)
	}
	var b strings.Builder
	g := &grid{head: []string{""}}
	for _, rt := range r.Runtimes {
		g.head = append(g.head, rt.Name)
	}
	for _, p := range r.Parts {
		for _, l := range p.Lines {
			if !slices.Contains(headline, l.Name) {
				continue
			}
			row := []string{p.Name + ": " + l.Name}
			for _, rt := range r.Runtimes {
				cell := "–"
				if res := l.Results[rt.Name]; res != nil && res.Failed == "" {
					cell = quantity(res.Median, l.Unit)
				}
				row = append(row, cell)
			}
			g.rows = append(g.rows, row)
		}
	}
	b.WriteString(before + figuresBegin + "\n")
	g.markdown(&b)
	b.WriteString("\n" + figuresEnd + after)
	return b.String(), nil
}
