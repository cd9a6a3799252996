package kernel

import (
	"garrison/sentry/auth"
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
