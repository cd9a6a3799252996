package boot

import (
	"strings"

	"garrison/runsc/control"
	"garrison/sentry/kernel"
)

// list describes the container's processes.
func (s *sandbox) list() []control.ProcessInfo {
	var all []control.ProcessInfo
	for _, g := range s.container.Groups() {
		if g.Leader() != nil {
			all = append(all, s.describe(g))
		}
	}
	return all
}

func (s *sandbox) describe(g *kernel.ThreadGroup) control.ProcessInfo {
	leader := g.Leader()
	user, system := g.CPUTime()
	p := control.ProcessInfo{
		PID: int(g.PID().In(s.container.PIDs)), UID: leader.Creds().RUID, Threads: g.Threads(), State: string(rune(leader.RunState())),
		Nanos: user + system, Started: leader.Started(), Command: leader.Name(),
	}
	p.Args = arguments(leader)
	if parent := g.Parent(); parent != nil {
		p.PPID = int(parent.PID().In(s.container.PIDs))
	}
	return p
}

// arguments are what the process was started with, as it shows them now.
func arguments(t *kernel.Task) []string {
	const most = 4096 // bytes; more is for /proc/pid/cmdline
	space := t.SpaceOf()
	if space == nil {
		return nil
	}
	defer space.DecUsers()
	r := space.Layout().Args
	b := make([]byte, min(r.Len(), most))
	n, _ := space.Forced().CopyIn(b, r.Start)
	text := strings.TrimRight(string(b[:n]), "\x00")
	if text == "" {
		return nil
	}
	return strings.Split(text, "\x00")
}
