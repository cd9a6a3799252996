package report

import (
	"fmt"
	"slices"
)

// Join adds the parts of a later run on the same machine to r. One that r has,
// too, takes its place.
func (r *Run) Join(later *Run) error {
	if r.Machine != later.Machine || r.Smoke != later.Smoke {
		return fmt.Errorf("the results are not of the same kind: of %+v (smoke: %v) and %+v (%v)", r.Machine, r.Smoke, later.Machine, later.Smoke)
	}
	for _, rt := range later.Runtimes {
		i := slices.IndexFunc(r.Runtimes, func(old Runtime) bool { return old.Name == rt.Name })
		if i < 0 {
			r.Runtimes = append(r.Runtimes, rt)
		} else if old := r.Runtimes[i]; old.Version != rt.Version || old.Command != rt.Command {
			return fmt.Errorf("%s was %s of version %s, and is %s of version %s", rt.Name, old.Command, old.Version, rt.Command, rt.Version)
		}
	}
	for _, p := range later.Parts {
		p.Began = later.Began
		if i := slices.IndexFunc(r.Parts, func(old *Part) bool { return old.Name == p.Name }); i >= 0 {
			r.Parts[i] = p
		} else {
			r.Parts = append(r.Parts, p)
		}
	}
	return nil
}
