package cmd

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// maxDistance is how many slips of the finger a suggestion forgives.
const maxDistance = 2

// explain turns cobra's errors into one line that says what to do.
func (a *app) explain(c *cobra.Command, err error) error {
	text := err.Error()
	if name, ok := quoted(text, "unknown command "); ok && c != nil {
		if c.Name() == helpName {
			c = c.Root()
		}
		if !c.HasSubCommands() {
			return fmt.Errorf("%s: takes no arguments, so not %s (see: %s --help)", c.Name(), name, c.CommandPath())
		}
		best := nearest(name, func(yield func(string)) {
			for _, sub := range c.Commands() {
				if sub.IsAvailableCommand() {
					yield(sub.Name())
				}
			}
		})
		return errors.New(suggestion("unknown command "+name, best, c))
	}
	if strings.Contains(text, "arg(s)") && c != nil {
		return fmt.Errorf("%s: %s (see: %s --help)", c.Name(), text, c.CommandPath())
	}
	if first, _, many := strings.Cut(text, "\n"); many {
		return errors.New(first)
	}
	return err
}

// flagError is explain for flags.
func flagError(c *cobra.Command, err error) error {
	name, ok := strings.CutPrefix(err.Error(), "unknown flag: ")
	if !ok {
		return fmt.Errorf("%w (see: %s --help)", err, c.CommandPath())
	}
	best := nearest(strings.TrimLeft(name, "-"), func(yield func(string)) {
		visit := func(f *pflag.Flag) {
			if !f.Hidden {
				yield(f.Name)
			}
		}
		c.Flags().VisitAll(visit)
		c.InheritedFlags().VisitAll(visit)
	})
	if best != "" {
		best = "--" + best
	}
	return errors.New(suggestion("unknown flag "+name, best, c))
}

func suggestion(what, best string, c *cobra.Command) string {
	if best != "" {
		return fmt.Sprintf("%s: did you mean %s?", what, best)
	}
	return fmt.Sprintf("%s (see: %s --help)", what, c.CommandPath())
}

// quoted returns the first quoted word after prefix.
func quoted(text, prefix string) (string, bool) {
	rest, ok := strings.CutPrefix(text, prefix+`"`)
	if !ok {
		return "", false
	}
	word, _, ok := strings.Cut(rest, `"`)
	return word, ok
}

// nearest is the word most like name, or "" if none is like it.
func nearest(name string, words func(yield func(string))) string {
	best, least := "", maxDistance+1
	words(func(w string) {
		d := distance(name, w)
		if strings.HasPrefix(w, name) && len(name) > 1 {
			d = 0
		}
		if d < least {
			best, least = w, d
		}
	})
	return best
}

// distance is how many letters have to be put in, left out or changed to make b
// of a; two letters that changed places count as one.
func distance(a, b string) int {
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			d := min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				d = min(d, rows[i-2][j-2]+1)
			}
			rows[i][j] = d
		}
	}
	return rows[len(a)][len(b)]
}
