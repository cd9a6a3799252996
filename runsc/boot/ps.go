package boot

import (
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
		Nanos: user + system, Started: s.kernel.BootTime() + leader.StartTime(), Command: leader.Name(),
	}
	if parent := g.Parent(); parent != nil {
		p.PPID = int(parent.PID().In(s.container.PIDs))
	}
	return p
}
