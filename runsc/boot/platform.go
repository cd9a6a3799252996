package boot

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"garrison/gofer/wire"
	"garrison/platform"
	"garrison/platform/ptrace"
	"garrison/platform/systrap"
	"garrison/runsc/control"
)

// made is a platform on its way: starting one takes as long as it takes runsc to
// say what else there is to do.
type made struct {
	done     chan struct{}
	platform platform.Platform
	instead  error  // why it is not the one that was preferred
	cpuinfo  string // /proc/cpuinfo
	err      error
}

// startPlatform begins to make the platform called name. It needs the working
// directory, /proc, until it is done.
func startPlatform(name string) *made {
	m := &made{done: make(chan struct{})}
	go func() {
		defer close(m.done)
		if text, err := os.ReadFile("cpuinfo"); err == nil {
			m.cpuinfo = string(text)
		}
		m.platform, m.instead, m.err = newPlatform(name, ".")
	}()
	return m
}

// wait returns the platform. After it, nothing on the host can be reached by a
// path: the root is empty.
func (m *made) wait() (platform.Platform, error) {
	<-m.done
	if m.err != nil {
		return nil, m.err
	}
	if err := unix.Chdir("/"); err != nil {
		return nil, fmt.Errorf("leave /proc: %w", err)
	}
	return m.platform, nil
}

// newPlatform makes the platform called name; proc is where proc(5) is. For auto,
// instead is why it is not the best there is.
func newPlatform(name, proc string) (p platform.Platform, instead, err error) {
	switch name {
	case control.AutoPlatform:
		if p, _, instead = newPlatform("systrap", proc); instead == nil {
			return p, nil, nil
		}
		p, _, err = newPlatform("ptrace", proc)
		return p, instead, err
	case "systrap":
		p, err = systrap.New(systrap.Options{Proc: proc})
	case "ptrace":
		p, err = ptrace.New(ptrace.Options{Proc: proc})
	default:
		err = errors.New("no such platform")
	}
	if err != nil {
		return nil, nil, fmt.Errorf("platform %s: %w", name, err)
	}
	return p, nil, nil
}

// probe says which platform auto is on this host, and why not a better one.
func probe(w io.Writer) error {
	p, instead, err := newPlatform(control.AutoPlatform, "/proc")
	if err != nil {
		return err
	}
	defer p.Release()
	fmt.Fprint(w, p.Facts().Name)
	if instead != nil {
		fmt.Fprintf(w, " (%v)", instead)
	}
	fmt.Fprintln(w)
	return nil
}

// platformStats is what p has counted, a line each.
func platformStats(p platform.Platform) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%-16s %s\n", "platform", p.Facts().Name)
	if counter, ok := p.(platform.Counter); ok {
		for _, c := range counter.Counts() {
			fmt.Fprintf(&b, "%-16s %d\n", c.Name, c.N)
		}
	}
	return b.String()
}

// goferStats is what g was asked for, a line each.
func goferStats(g *wire.Client) string {
	var b strings.Builder
	for op := range wire.NumOps {
		if n := g.Count(op); n > 0 {
			fmt.Fprintf(&b, "%-16s %d\n", op, n)
		}
	}
	return b.String()
}
