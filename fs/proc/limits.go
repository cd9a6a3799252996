package proc

import (
	"bytes"
	"fmt"
	"strconv"

	"garrison/sentry/limits"
	"garrison/sentry/vfs"
)

// limitNames is the lines of /proc/pid/limits.
var limitNames = [limits.Count]struct{ name, unit string }{
	limits.CPU:        {"Max cpu time", "seconds"},
	limits.FSize:      {"Max file size", "bytes"},
	limits.Data:       {"Max data size", "bytes"},
	limits.Stack:      {"Max stack size", "bytes"},
	limits.Core:       {"Max core file size", "bytes"},
	limits.RSS:        {"Max resident set", "bytes"},
	limits.NProc:      {"Max processes", "processes"},
	limits.NOFile:     {"Max open files", "files"},
	limits.MemLock:    {"Max locked memory", "bytes"},
	limits.AS:         {"Max address space", "bytes"},
	limits.Locks:      {"Max file locks", "locks"},
	limits.SigPending: {"Max pending signals", "signals"},
	limits.MsgQueue:   {"Max msgqueue size", "bytes"},
	limits.Nice:       {"Max nice priority", ""},
	limits.RTPrio:     {"Max realtime priority", ""},
	limits.RTTime:     {"Max realtime timeout", "us"},
}

// showLimits is /proc/pid/limits, proc_pid_limits(5).
func showLimits(p *process, _ vfs.Ctx, w *bytes.Buffer) error {
	fmt.Fprintf(w, "%-25s %-20s %-20s %-10s\n", "Limit", "Soft Limit", "Hard Limit", "Units")
	set := p.g.Limits()
	for k, n := range limitNames {
		l := set.Get(limits.Kind(k))
		fmt.Fprintf(w, "%-25s %-20s %-20s ", n.name, limitText(l.Cur), limitText(l.Max))
		if n.unit != "" {
			fmt.Fprintf(w, "%-10s", n.unit)
		}
		w.WriteByte('\n')
	}
	return nil
}

func limitText(n uint64) string {
	if n == limits.Infinity {
		return "unlimited"
	}
	return strconv.FormatUint(n, 10)
}
