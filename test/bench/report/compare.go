package report

import (
	"fmt"
	"io"
	"math"
)

// Apart is how much two medians may differ, in parts of the first, before
// Compare names them.
const Apart = 0.15

// Compare writes which medians of two runs are apart, and the share of those
// that are not.
func Compare(w io.Writer, old, new *Run) {
	medians := map[string]*Result{}
	for _, p := range old.Parts {
		for _, l := range p.Lines {
			for rt, res := range l.Results {
				medians[p.Name+"\t"+l.Name+"\t"+rt] = res
			}
		}
	}
	both, near := 0, 0
	for _, p := range new.Parts {
		for _, l := range p.Lines {
			for _, rt := range new.Runtimes {
				before, after := medians[p.Name+"\t"+l.Name+"\t"+rt.Name], l.Results[rt.Name]
				if before == nil || after == nil || before.N == 0 || after.N == 0 {
					continue
				}
				both++
				if math.Abs(after.Median-before.Median) <= Apart*before.Median {
					near++
					continue
				}
				fmt.Fprintf(w, "%s: %s, %s: %s, then %s\n", p.Name, l.Name, rt.Name, quantity(before.Median, l.Unit), quantity(after.Median, l.Unit))
			}
		}
	}
	if both > 0 {
		fmt.Fprintf(w, "%d of %d medians (%.0f %%) are within %.0f %% of each other\n", near, both, 100*float64(near)/float64(both), 100*Apart)
	}
}
