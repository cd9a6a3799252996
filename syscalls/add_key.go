package syscalls

import (
	"garrison/sentry/kernel"
	"garrison/sentry/keys"
	"garrison/sentry/linux"
	"garrison/sentry/usermem"
)

const (
	keyTypeMax    = 31       // bytes of a type's name
	keyDescMax    = 4096 - 1 // bytes of a description, or of a keyring's name
	keyPayloadMax = 1<<20 - 1
	keyUpdateMax  = 4096
)

// keyType loads the name of a type of keys: EFAULT, EINVAL, EPERM.
func keyType(t *kernel.Task, p pathname) (string, error) {
	s, err := usermem.CopyInString(t, address(p).Addr(), keyTypeMax)
	switch {
	case err == linux.ENAMETOOLONG, err == nil && s == "":
		return "", linux.EINVAL
	case err == nil && s[0] == '.':
		return "", linux.EPERM // the kernel's own
	}
	return s, err
}

// keyDesc loads a description: EFAULT, EINVAL.
func keyDesc(t *kernel.Task, p pathname) (string, error) {
	s, err := usermem.CopyInString(t, address(p).Addr(), keyDescMax)
	if err == linux.ENAMETOOLONG {
		return "", linux.EINVAL
	}
	return s, err
}

// keyDescMaybe is keyDesc of what may be NULL.
func keyDescMaybe(t *kernel.Task, p pathname) (*string, error) {
	if p == 0 {
		return nil, nil
	}
	s, err := keyDesc(t, p)
	return &s, err
}

func keyPayload(t *kernel.Task, p address, n uint64) ([]byte, error) {
	if n == 0 {
		return nil, nil
	}
	b := make([]byte, n)
	_, err := t.CopyIn(b, p.Addr())
	return b, err
}

// addKey implements add_key(2).
func addKey(t *kernel.Task, kind, desc pathname, payload address, n size, ring keys.Serial) (keys.Serial, error) {
	if n > keyPayloadMax {
		return 0, linux.EINVAL
	}
	k, err := keyType(t, kind)
	if err != nil {
		return 0, err
	}
	d, err := keyDescMaybe(t, desc)
	if err != nil {
		return 0, err
	}
	b, err := keyPayload(t, payload, uint64(n))
	if err != nil {
		return 0, err
	}
	return t.Kernel().Keys.Add(t.Keys(), k, d, b, ring)
}

// requestKey implements request_key(2).
func requestKey(t *kernel.Task, kind, desc, callout pathname, ring keys.Serial) (keys.Serial, error) {
	k, err := keyType(t, kind)
	if err != nil {
		return 0, err
	}
	d, err := keyDesc(t, desc)
	if err != nil {
		return 0, err
	}
	if _, err := keyDescMaybe(t, callout); err != nil {
		return 0, err
	}
	return t.Kernel().Keys.Request(t.Keys(), k, d, callout != 0, ring)
}
