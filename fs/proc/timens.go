package proc

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"garrison/platform/arch"
	"garrison/sentry/auth"
	"garrison/sentry/linux"
	"garrison/sentry/vfs"
)

const second = 1_000_000_000

// showTimeOffsets is /proc/pid/timens_offsets, time_namespaces(7): of the namespace that
// the process's children will be in.
func showTimeOffsets(p *process, _ vfs.Ctx, w *bytes.Buffer) error {
	mono, boot := p.task().Namespaces().TimeForChildren.Offsets()
	for _, x := range []struct {
		name string
		ns   int64
	}{{"monotonic", mono}, {"boottime", boot}} {
		sec, nsec := x.ns/second, x.ns%second
		if nsec < 0 {
			sec, nsec = sec-1, nsec+second
		}
		fmt.Fprintf(w, "%-10s %10d %9d\n", x.name, sec, nsec)
	}
	return nil
}

// storeTimeOffsets sets them before any task is in the namespace: EINVAL, EPERM, EACCES,
// ERANGE for clocks that would be negative or too far on.
func storeTimeOffsets(p *process, c vfs.Ctx, data []byte) error {
	if len(data) >= arch.PageSize {
		return linux.EINVAL
	}
	var at [2]*int64 // monotonic, boottime
	lines := strings.Split(strings.TrimSuffix(string(data), "\n"), "\n")
	if len(lines) > len(at) {
		return linux.EINVAL
	}
	for _, l := range lines {
		i, v, ok := parseOffset(l)
		if !ok {
			return linux.EINVAL
		}
		at[i] = &v
	}
	ns := p.task().Namespaces().TimeForChildren
	if !c.Creds().HasCapIn(ns.UserNS, auth.CapSysTime) {
		return linux.EPERM
	}
	const most = (1<<63 - 1) / 2 // KTIME_SEC_MAX / 2, in nanoseconds
	k := p.fs.k
	for i, now := range [2]int64{k.Clocks.Monotonic.Now(), k.Clocks.Boottime.Now()} {
		if at[i] != nil && (*at[i]+now < 0 || *at[i] > most-now) {
			return linux.ERANGE
		}
	}
	return ns.SetOffsets(at[0], at[1])
}

// parseOffset reads "clock seconds nanoseconds".
func parseOffset(l string) (clock int, ns int64, ok bool) {
	f := strings.Fields(l)
	if len(f) != 3 {
		return 0, 0, false
	}
	switch f[0] {
	case "monotonic", "1":
	case "boottime", "7":
		clock = 1
	default:
		return 0, 0, false
	}
	sec, err := strconv.ParseInt(f[1], 10, 64)
	nsec, err2 := strconv.ParseInt(f[2], 10, 64)
	const limit = (1<<63 - 1) / second
	if err != nil || err2 != nil || nsec < 0 || nsec >= second || sec >= limit || sec <= -limit {
		return 0, 0, false
	}
	return clock, sec*second + nsec, true
}
