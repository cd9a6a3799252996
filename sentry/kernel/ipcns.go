package kernel

import (
	"garrison/sentry/auth"
	"garrison/sentry/ipc"
	"garrison/sentry/lock"
)

// An IPCNamespace holds System V IPC objects and POSIX message queues,
// ipc_namespaces(7).
type IPCNamespace struct {
	Inode  uint64
	UserNS *auth.UserNamespace
	SysV   *ipc.Namespace

	mu     lock.Mutex[lock.Mounts]
	queues any // protected by mu: see MessageQueues
}

// MessageQueues is the namespace's POSIX message queues, which mk makes when they
// are first asked for; fs/mqueue knows their type. mk may take locks that come
// after lock.Mounts.
func (n *IPCNamespace) MessageQueues(mk func() any) any {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.queues == nil {
		n.queues = mk()
	}
	return n.queues
}

// NewIPC returns an empty namespace.
func (k *Kernel) NewIPC(user *auth.UserNamespace) *IPCNamespace {
	return &IPCNamespace{Inode: k.NewInode(), UserNS: user, SysV: ipc.NewNamespace(user)}
}
