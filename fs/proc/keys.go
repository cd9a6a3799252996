package proc

import (
	"bytes"

	"garrison/sentry/keys"
	"garrison/sentry/linux"
	"garrison/sentry/vfs"
)

// keyCaller is who reads, with its keyrings if it is a task.
func keyCaller(c vfs.Ctx) *keys.Caller {
	if t := caller(c); t != nil {
		return t.Keys()
	}
	return &keys.Caller{Creds: c.Creds()}
}

func showKeys(fs *FS, c vfs.Ctx, w *bytes.Buffer) error {
	fs.k.Keys.Show(w, keyCaller(c))
	return nil
}

func showKeyUsers(fs *FS, c vfs.Ctx, w *bytes.Buffer) error {
	fs.k.Keys.ShowUsers(w, keyCaller(c))
	return nil
}

// keyLimits is /proc/sys/kernel/keys, keyrings(7).
func keyLimits(all map[string]rootEntry) map[string]rootEntry {
	limit := func(name string, least int64, at func(*keys.Limits) *int) {
		all["kernel/keys/"+name] = rootEntry{
			Mode: 0o644,
			Show: func(fs *FS, _ vfs.Ctx, w *bytes.Buffer) error {
				l := fs.k.Keys.Limits()
				return line(w, *at(&l))
			},
			Store: func(fs *FS, _ vfs.Ctx, data []byte) error {
				n, err := storedInt(data, 0)
				if err != nil || n < least || n > 1<<31-1 {
					return linux.EINVAL
				}
				fs.k.Keys.SetLimits(func(l *keys.Limits) { *at(l) = int(n) })
				return nil
			},
		}
	}
	limit("maxkeys", 1, func(l *keys.Limits) *int { return &l.MaxKeys })
	limit("maxbytes", 1, func(l *keys.Limits) *int { return &l.MaxBytes })
	limit("root_maxkeys", 1, func(l *keys.Limits) *int { return &l.RootMaxKeys })
	limit("root_maxbytes", 1, func(l *keys.Limits) *int { return &l.RootMaxBytes })
	limit("gc_delay", 0, func(l *keys.Limits) *int { return &l.GCDelay })
	limit("persistent_keyring_expiry", 0, func(l *keys.Limits) *int { return &l.PersistentExpiry })
	return all
}
