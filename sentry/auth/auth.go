// Package auth is who a task is: user and group ids, capabilities, and the user
// namespaces they hold in. See credentials(7), capabilities(7).
package auth

import "slices"

// A Cap is a capability's number (<linux/capability.h>).
type Cap uint

// Capabilities.
const (
	CapChown Cap = iota
	CapDACOverride
	CapDACReadSearch
	CapFowner
	CapFsetid
	CapKill
	CapSetgid
	CapSetuid
	CapSetpcap
	CapLinuxImmutable
	CapNetBindService
	CapNetBroadcast
	CapNetAdmin
	CapNetRaw
	CapIPCLock
	CapIPCOwner
	CapSysModule
	CapSysRawio
	CapSysChroot
	CapSysPtrace
	CapSysPacct
	CapSysAdmin
	CapSysBoot
	CapSysNice
	CapSysResource
	CapSysTime
	CapSysTTYConfig
	CapMknod
	CapLease
	CapAuditWrite
	CapAuditControl
	CapSetfcap
	CapMACOverride
	CapMACAdmin
	CapSyslog
	CapWakeAlarm
	CapBlockSuspend
	CapAuditRead
	CapPerfmon
	CapBPF
	CapCheckpointRestore

	CapLast = CapCheckpointRestore
)

// Caps is a set of capabilities, bit n for capability n.
type Caps uint64

// AllCaps is every capability.
const AllCaps = Caps(1)<<(CapLast+1) - 1

// Has reports whether s includes c.
func (s Caps) Has(c Cap) bool { return s>>c&1 != 0 }

// Creds is a task's credentials. A Creds in use is never changed: Clone it,
// change the copy and give that to the task.
type Creds struct {
	RUID, EUID, SUID, FSUID uint32
	RGID, EGID, SGID, FSGID uint32
	Groups                  []uint32 // supplementary

	Permitted, Effective, Inheritable, Bounding, Ambient Caps

	Securebits uint32
	NoNewPrivs bool
	UserNS     *UserNamespace
}

// Root is the credentials of ns's user and group 0 with every capability there. Before
// ns maps them they are NoID.
func Root(ns *UserNamespace) *Creds {
	u, _ := ns.MakeUID(0)
	g, _ := ns.MakeGID(0)
	return &Creds{
		RUID: u, EUID: u, SUID: u, FSUID: u, RGID: g, EGID: g, SGID: g, FSGID: g,
		Permitted: AllCaps, Effective: AllCaps, Bounding: AllCaps, UserNS: ns,
	}
}

// Clone is a copy of c to be changed.
func (c *Creds) Clone() *Creds {
	n := *c
	n.Groups = slices.Clone(c.Groups)
	return &n
}

// InGroup reports whether gid is c's filesystem group or a supplementary one.
func (c *Creds) InGroup(gid uint32) bool { return gid == c.FSGID || slices.Contains(c.Groups, gid) }

// HasCap reports whether c has the capability in its own user namespace.
func (c *Creds) HasCap(x Cap) bool { return c.Effective.Has(x) }

// Capable reports whether c has the capability in the first user namespace: for what
// belongs to no namespace, but to the machine.
func (c *Creds) Capable(x Cap) bool { return c.Effective.Has(x) && c.UserNS.First() }

// HasCapIn reports whether c has the capability in ns: held there or in an
// ancestor, or as the owner of a child namespace (user_namespaces(7)).
func (c *Creds) HasCapIn(ns *UserNamespace, x Cap) bool {
	for {
		if ns == c.UserNS || ns.First() && c.UserNS.First() {
			return c.HasCap(x)
		}
		if ns.Level() <= c.UserNS.Level() {
			return false
		}
		if ns.Owner == c.EUID && ns.Parent.Same(c.UserNS) {
			return true
		}
		ns = ns.Parent
	}
}

// Enter makes c, a copy to be changed, one of ns, with every capability there and
// none elsewhere, as who makes a user namespace or joins one is.
func (c *Creds) Enter(ns *UserNamespace) {
	c.UserNS, c.Securebits = ns, 0
	c.Permitted, c.Effective, c.Bounding = AllCaps, AllCaps, AllCaps
	c.Inheritable, c.Ambient = 0, 0
}

// Covers reports whether c has all that o may have: o's permitted capabilities if
// both are in one user namespace, else o's being in one that c's user made.
func (c *Creds) Covers(o *Creds) bool {
	if c.UserNS.Same(o.UserNS) {
		return o.Permitted&^c.Permitted == 0
	}
	for ns := o.UserNS; !ns.First(); ns = ns.Parent {
		if ns.Parent.Same(c.UserNS) && ns.Owner == c.EUID {
			return true
		}
	}
	return false
}

// secureNoSetuidFixup is SECBIT_NO_SETUID_FIXUP.
const secureNoSetuidFixup = 1 << 2

// Real is c as access(2) judges by: with the real ids, and with capabilities
// only if those are root's (or ids do not touch capabilities).
func (c *Creds) Real() *Creds {
	n := *c
	n.FSUID, n.FSGID = c.RUID, c.RGID
	if c.Securebits&secureNoSetuidFixup == 0 {
		n.Effective = 0
		if root, ok := c.UserNS.MakeUID(0); ok && c.RUID == root {
			n.Effective = c.Permitted
		}
	}
	return &n
}
