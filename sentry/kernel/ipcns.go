package kernel

import "garrison/sentry/auth"

// An IPCNamespace holds System V IPC objects, ipc_namespaces(7).
type IPCNamespace struct {
	Inode  uint64
	UserNS *auth.UserNamespace
}

// NewIPC returns an empty namespace.
func (k *Kernel) NewIPC(user *auth.UserNamespace) *IPCNamespace {
	return &IPCNamespace{Inode: k.NewInode(), UserNS: user}
}
