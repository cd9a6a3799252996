package boot

import (
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"

	"garrison/sentry/linux"
	"garrison/sentry/vfs"
)

// mayOpenDevice holds a device that containers of a sandbox share against the rules of c's
// (linux.resources.devices), as the host's cgroup would: EPERM.
func (s *sandbox) mayOpenDevice(c vfs.Ctx, kind linux.FileMode, major, minor uint32, flags linux.OpenFlags) error {
	x := deviceUse{typ: "c", major: int64(major), minor: int64(minor)}
	if kind == linux.S_IFBLK {
		x.typ = "b"
	}
	if flags.Readable() {
		x.access += "r"
	}
	if flags.Writable() {
		x.access += "w"
	}
	if r := s.of(c).doc.Spec.Linux.Resources; r == nil || !x.allowed(r.Devices) {
		return linux.EPERM
	}
	return nil
}

// A deviceUse is what somebody wants of a device.
type deviceUse struct {
	typ          string // c or b
	major, minor int64
	access       string // of r and w
}

// allowed reports whether rules allow it: for each kind of access the last that is about it
// decides, and without one it is forbidden.
func (x *deviceUse) allowed(rules []specs.LinuxDeviceCgroup) bool {
	for _, a := range x.access {
		ok := false
		for i := range rules {
			if r := &rules[i]; x.matches(r) && strings.ContainsRune(accessOf(r), a) {
				ok = r.Allow
			}
		}
		if !ok {
			return false
		}
	}
	return true
}

func (x *deviceUse) matches(r *specs.LinuxDeviceCgroup) bool {
	number := func(n *int64, have int64) bool { return n == nil || *n < 0 || *n == have }
	return (r.Type == "" || r.Type == "a" || r.Type == x.typ) && number(r.Major, x.major) && number(r.Minor, x.minor)
}

// accessOf is what a rule is about: everything if it does not say.
func accessOf(r *specs.LinuxDeviceCgroup) string {
	if r.Access == "" {
		return "rwm"
	}
	return r.Access
}
