package boot

import (
	"strings"
	"time"

	"garrison/runsc/control"
	"garrison/sentry/kernel"
)

// namesTimeout is how long a list of host processes waits for them to show what they
// are called now. What is stopped does not.
const namesTimeout = 50 * time.Millisecond

// list describes the container's processes.
func (ct *container) list() []control.ProcessInfo {
	var all []control.ProcessInfo
	for _, g := range ct.guest.Groups() {
		if g.Leader() != nil {
			all = append(all, ct.describe(g))
		}
	}
	return all
}

func (ct *container) describe(g *kernel.ThreadGroup) control.ProcessInfo {
	leader := g.Leader()
	user, system := g.CPUTime()
	p := control.ProcessInfo{
		PID: int(g.PID().In(ct.guest.PIDs)), UID: leader.Creds().RUID, Threads: g.Threads(), State: string(rune(leader.RunState())),
		Nanos: user + system, Started: leader.Started(), Command: leader.Name(),
	}
	p.Args, p.Host = arguments(leader), g.HostProcess()
	if parent := g.Parent(); parent != nil {
		p.PPID = int(parent.PID().In(ct.guest.PIDs))
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
	text := strings.TrimRight(string(space.Arguments(most)), "\x00")
	if text == "" {
		return nil
	}
	return strings.Split(text, "\x00")
}
