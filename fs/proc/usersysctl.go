package proc

import (
	"bytes"

	"garrison/sentry/auth"
	"garrison/sentry/linux"
	"garrison/sentry/vfs"
)

// userLimits is /proc/sys/user/max_*_namespaces, namespaces(7): of the user namespace
// of whoever looks.
func userLimits(all map[string]rootEntry) map[string]rootEntry {
	for kind, name := range auth.CountNames {
		all["user/max_"+name+"_namespaces"] = rootEntry{
			Mode:  0o644,
			Allow: allowLimits,
			Show: func(_ *FS, c vfs.Ctx, w *bytes.Buffer) error {
				return line(w, c.Creds().UserNS.MaxCount(kind))
			},
			Store: func(_ *FS, c vfs.Ctx, data []byte) error {
				n, err := storedInt(data, 0)
				if err != nil || n < 0 || n > 1<<31-1 {
					return linux.EINVAL
				}
				c.Creds().UserNS.SetMaxCount(kind, int(n))
				return nil
			},
		}
	}
	return all
}

// allowLimits lets those write who are privileged in their own user namespace.
func allowLimits(_ *FS, c vfs.Ctx, _ vfs.Attr, want vfs.Access) error {
	if want&^vfs.MayRead != 0 && !(want&vfs.MayExec == 0 && c.Creds().HasCap(auth.CapSysResource)) {
		return linux.EACCES
	}
	return nil
}
