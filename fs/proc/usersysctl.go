package proc

import (
	"bytes"

	"garrison/sentry/auth"
	"garrison/sentry/linux"
	"garrison/sentry/vfs"
)

// userLimits is /proc/sys/user/max_*, namespaces(7): of the user namespace of whoever
// looks; and those of the first that have a name in /proc/sys/fs too, fanotify(7).
func userLimits(all map[string]rootEntry) map[string]rootEntry {
	for kind, name := range auth.CountNames {
		e := userLimit(kind, func(c vfs.Ctx) *auth.UserNamespace { return c.Creds().UserNS })
		e.Allow = allowLimits
		all["user/max_"+name] = e
	}
	all["fs/fanotify/max_user_groups"] = userLimit(auth.CountFanotifyGroups, firstUserNS)
	all["fs/fanotify/max_user_marks"] = userLimit(auth.CountFanotifyMarks, firstUserNS)
	return all
}

// firstUserNS is the user namespace above all others.
func firstUserNS(c vfs.Ctx) *auth.UserNamespace {
	ns := c.Creds().UserNS
	for !ns.First() {
		ns = ns.Parent
	}
	return ns
}

// userLimit is the file of one kind's limit.
func userLimit(kind int, of func(vfs.Ctx) *auth.UserNamespace) rootEntry {
	return rootEntry{
		Mode: 0o644,
		Show: func(_ *FS, c vfs.Ctx, w *bytes.Buffer) error { return line(w, of(c).MaxCount(kind)) },
		Store: func(_ *FS, c vfs.Ctx, data []byte) error {
			n, err := storedInt(data, 0)
			if err != nil || n < 0 || n > 1<<31-1 {
				return linux.EINVAL
			}
			of(c).SetMaxCount(kind, int(n))
			return nil
		},
	}
}

// allowLimits lets those write who are privileged in their own user namespace.
func allowLimits(_ *FS, c vfs.Ctx, _ vfs.Attr, want vfs.Access) error {
	if want&^vfs.MayRead != 0 && !(want&vfs.MayExec == 0 && c.Creds().HasCap(auth.CapSysResource)) {
		return linux.EACCES
	}
	return nil
}
