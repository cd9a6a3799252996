package kernel

import (
	"garrison/sentry/auth"
	"garrison/sentry/linux"
	"garrison/sentry/lock"
)

// A UTSNamespace holds the names that uname(2) reports, uts_namespaces(7).
type UTSNamespace struct {
	Inode  uint64
	UserNS *auth.UserNamespace

	mu     lock.Mutex[lock.Leaf]
	host   string // protected by mu
	domain string // protected by mu
}

// NewUTS returns a namespace with those names.
func (k *Kernel) NewUTS(host, domain string, user *auth.UserNamespace) *UTSNamespace {
	return &UTSNamespace{Inode: k.NewInode(), UserNS: user, host: host, domain: domain}
}

// Names returns the host's name and the NIS domain's.
func (u *UTSNamespace) Names() (host, domain string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.host, u.domain
}

// SetHost and SetDomain change a name. The caller has checked length and rights.
func (u *UTSNamespace) SetHost(s string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.host = s
}

// SetDomain changes the NIS domain's name.
func (u *UTSNamespace) SetDomain(s string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.domain = s
}

// A NetNamespace is a network of its own, network_namespaces(7). Network is
// what Options.NewNetwork made; the socket calls know its type.
type NetNamespace struct {
	Inode   uint64
	UserNS  *auth.UserNamespace
	Network any
}

// NewNet returns a network namespace around network.
func (k *Kernel) NewNet(network any, user *auth.UserNamespace) *NetNamespace {
	return &NetNamespace{Inode: k.NewInode(), UserNS: user, Network: network}
}

// newNamespaces gives n, whose credentials are t's or newer, those namespaces of its
// own that f asks for. ENOSPC if there are too many of a kind, EINVAL for a pid
// namespace outside of what n's user namespace may own.
func (t *Task) newNamespaces(n *Task, f linux.CloneFlags) error {
	if f&cloneNamespaces == 0 {
		return nil
	}
	k, c, ns := t.k, n.Creds(), &n.ns
	ok := true
	if f&linux.CLONE_NEWUTS != 0 {
		host, domain := ns.UTS.Names()
		ns.UTS = k.NewUTS(host, domain, c.UserNS)
		ok = ok && auth.Charge(c.UserNS, c.EUID, auth.CountUTS, ns.UTS)
	}
	if f&linux.CLONE_NEWIPC != 0 {
		ns.IPC = k.NewIPC(c.UserNS)
		ok = ok && auth.Charge(c.UserNS, c.EUID, auth.CountIPC, ns.IPC)
	}
	if f&linux.CLONE_NEWPID != 0 {
		p := ns.PIDForChildren
		if !c.UserNS.Within(p.UserNS) {
			return linux.EINVAL
		}
		ns.PIDForChildren = k.NewPIDNamespace(p, c.UserNS)
		ok = ok && p.level < maxPIDLevel && auth.Charge(c.UserNS, c.EUID, auth.CountPID, ns.PIDForChildren)
	}
	if f&linux.CLONE_NEWNET != 0 && ok {
		ns.Net = k.newNetwork(c.UserNS)
		ok = auth.Charge(c.UserNS, c.EUID, auth.CountNet, ns.Net)
	}
	if f&linux.CLONE_NEWCGROUP != 0 {
		ns.Cgroup = &CgroupNamespace{Inode: k.NewInode(), UserNS: c.UserNS}
		ok = ok && auth.Charge(c.UserNS, c.EUID, auth.CountCgroup, ns.Cgroup)
	}
	if f&linux.CLONE_NEWTIME != 0 {
		old := ns.TimeForChildren
		n := &TimeNamespace{Inode: k.NewInode(), UserNS: c.UserNS}
		n.monotonic, n.boottime = old.Offsets()
		ns.TimeForChildren = n
		ok = ok && auth.Charge(c.UserNS, c.EUID, auth.CountTime, n)
	}
	if !ok {
		return linux.ENOSPC
	}
	return nil
}

// maxPIDLevel is how deep pid namespaces may be nested (MAX_PID_NS_LEVEL).
const maxPIDLevel = 32
