package syscalls

import (
	"garrison/platform/arch"
	"garrison/sentry/kernel"
	"garrison/sentry/keys"
	"garrison/sentry/linux"
)

// keyArgs is the arguments of keyctl(2) behind the operation.
type keyArgs [4]uint64

func (a *keyArgs) id(i int) keys.Serial { return keys.Serial(a[i]) }

// A keyOp is an operation of keyctl(2).
type keyOp func(s *keys.Service, t *kernel.Task, a *keyArgs) (int, error)

// keyOps is the operations there are. Those of Diffie-Hellman, public keys and
// notifications are for kernels built with them.
var keyOps = map[int32]keyOp{
	linux.KEYCTL_GET_KEYRING_ID: func(s *keys.Service, t *kernel.Task, a *keyArgs) (int, error) {
		id, err := s.ID(t.Keys(), a.id(0), int32(a[1]) != 0)
		return int(id), err
	},
	linux.KEYCTL_JOIN_SESSION_KEYRING: keyJoin,
	linux.KEYCTL_UPDATE:               keyUpdate,
	linux.KEYCTL_REVOKE: func(s *keys.Service, t *kernel.Task, a *keyArgs) (int, error) {
		return 0, s.Revoke(t.Keys(), a.id(0))
	},
	linux.KEYCTL_CHOWN: func(s *keys.Service, t *kernel.Task, a *keyArgs) (int, error) {
		return 0, s.Chown(t.Keys(), a.id(0), uint32(a[1]), uint32(a[2]))
	},
	linux.KEYCTL_SETPERM: func(s *keys.Service, t *kernel.Task, a *keyArgs) (int, error) {
		return 0, s.SetPerm(t.Keys(), a.id(0), keys.Perm(a[1]))
	},
	linux.KEYCTL_DESCRIBE: keyDescribe,
	linux.KEYCTL_CLEAR: func(s *keys.Service, t *kernel.Task, a *keyArgs) (int, error) {
		return 0, s.Clear(t.Keys(), a.id(0))
	},
	linux.KEYCTL_LINK: func(s *keys.Service, t *kernel.Task, a *keyArgs) (int, error) {
		return 0, s.Link(t.Keys(), a.id(0), a.id(1))
	},
	linux.KEYCTL_UNLINK: func(s *keys.Service, t *kernel.Task, a *keyArgs) (int, error) {
		return 0, s.Unlink(t.Keys(), a.id(0), a.id(1))
	},
	linux.KEYCTL_SEARCH:          keySearch,
	linux.KEYCTL_READ:            keyRead,
	linux.KEYCTL_INSTANTIATE:     keyInstantiate,
	linux.KEYCTL_INSTANTIATE_IOV: keyInstantiate,
	linux.KEYCTL_NEGATE:          keyInstantiate,
	linux.KEYCTL_REJECT:          keyReject,
	linux.KEYCTL_SET_REQKEY_KEYRING: func(s *keys.Service, t *kernel.Task, a *keyArgs) (int, error) {
		old, err := s.SetRequests(t.Keys(), int32(a[0]))
		return int(old), err
	},
	linux.KEYCTL_SET_TIMEOUT: func(s *keys.Service, t *kernel.Task, a *keyArgs) (int, error) {
		return 0, s.SetTimeout(t.Keys(), a.id(0), uint32(a[1]))
	},
	linux.KEYCTL_ASSUME_AUTHORITY: func(s *keys.Service, _ *kernel.Task, a *keyArgs) (int, error) {
		return 0, s.Assume(a.id(0))
	},
	linux.KEYCTL_GET_SECURITY: keySecurity,
	linux.KEYCTL_SESSION_TO_PARENT: func(_ *keys.Service, t *kernel.Task, _ *keyArgs) (int, error) {
		return 0, t.SessionToParent()
	},
	linux.KEYCTL_INVALIDATE: func(s *keys.Service, t *kernel.Task, a *keyArgs) (int, error) {
		return 0, s.Invalidate(t.Keys(), a.id(0))
	},
	linux.KEYCTL_GET_PERSISTENT: func(s *keys.Service, t *kernel.Task, a *keyArgs) (int, error) {
		id, err := s.Persistent(t.Keys(), uint32(a[0]), a.id(1))
		return int(id), err
	},
	linux.KEYCTL_RESTRICT_KEYRING: keyRestrict,
	linux.KEYCTL_MOVE: func(s *keys.Service, t *kernel.Task, a *keyArgs) (int, error) {
		if uint32(a[3])&^linux.KEYCTL_MOVE_EXCL != 0 {
			return 0, linux.EINVAL
		}
		return 0, s.Move(t.Keys(), a.id(0), a.id(1), a.id(2), uint32(a[3]) != 0)
	},
	linux.KEYCTL_CAPABILITIES: keyCapabilities,
}

// keyctl implements keyctl(2).
func keyctl(t *kernel.Task, op int32, a, b, c, d uint64) (int, error) {
	f := keyOps[op]
	if f == nil {
		return 0, linux.EOPNOTSUPP
	}
	return f(t.Kernel().Keys, t, &keyArgs{a, b, c, d})
}

func keyJoin(s *keys.Service, t *kernel.Task, a *keyArgs) (int, error) {
	name, err := keyDescMaybe(t, pathname(a[0]))
	if err != nil {
		return 0, err
	}
	id, err := s.Join(t.Keys(), name)
	return int(id), err
}

func keyUpdate(s *keys.Service, t *kernel.Task, a *keyArgs) (int, error) {
	if a[2] > keyUpdateMax {
		return 0, linux.EINVAL
	}
	b, err := keyPayload(t, address(a[1]), a[2])
	if err != nil {
		return 0, err
	}
	return 0, s.Update(t.Keys(), a.id(0), b)
}

// keyAnswer answers with b, if there is room for all of it, and always with its length.
func keyAnswer(t *kernel.Task, b []byte, out address, room uint64) (int, error) {
	if out == 0 || uint64(len(b)) > room {
		return len(b), nil
	}
	if _, err := t.CopyOut(out.Addr(), b); err != nil {
		return 0, err
	}
	return len(b), nil
}

func keyDescribe(s *keys.Service, t *kernel.Task, a *keyArgs) (int, error) {
	d, err := s.Describe(t.Keys(), a.id(0))
	if err != nil {
		return 0, err
	}
	return keyAnswer(t, append([]byte(d), 0), address(a[1]), a[2])
}

func keyRead(s *keys.Service, t *kernel.Task, a *keyArgs) (int, error) {
	b, err := s.Read(t.Keys(), a.id(0))
	if err != nil {
		return 0, err
	}
	return keyAnswer(t, b, address(a[1]), a[2])
}

func keySecurity(s *keys.Service, t *kernel.Task, a *keyArgs) (int, error) {
	if err := s.Security(t.Keys(), a.id(0)); err != nil {
		return 0, err
	}
	return keyAnswer(t, []byte{0}, address(a[1]), a[2])
}

func keySearch(s *keys.Service, t *kernel.Task, a *keyArgs) (int, error) {
	k, err := keyType(t, pathname(a[1]))
	if err != nil {
		return 0, err
	}
	d, err := keyDesc(t, pathname(a[2]))
	if err != nil {
		return 0, err
	}
	id, err := s.Search(t.Keys(), a.id(0), k, d, a.id(3))
	return int(id), err
}

// keyInstantiate is for who has been asked for a key: nobody is.
func keyInstantiate(*keys.Service, *kernel.Task, *keyArgs) (int, error) { return 0, linux.EPERM }

func keyReject(_ *keys.Service, _ *kernel.Task, a *keyArgs) (int, error) {
	const maxErrno, restart, restartBlock = 4095, 512, 516
	e := uint32(a[2])
	if e == 0 || e >= maxErrno || e >= restart && e <= restartBlock && e != 515 {
		return 0, linux.EINVAL
	}
	return 0, linux.EPERM
}

func keyRestrict(s *keys.Service, t *kernel.Task, a *keyArgs) (int, error) {
	if (a[1] == 0) != (a[2] == 0) {
		return 0, linux.EINVAL
	}
	if a[1] == 0 {
		return 0, s.Restrict(t.Keys(), a.id(0), nil)
	}
	k, err := keyType(t, pathname(a[1]))
	if err != nil {
		return 0, err
	}
	if _, err := keyDesc(t, pathname(a[2])); err != nil {
		return 0, err
	}
	return 0, s.Restrict(t.Keys(), a.id(0), &k)
}

func keyCapabilities(_ *keys.Service, t *kernel.Task, a *keyArgs) (int, error) {
	caps := []byte{
		linux.KEYCTL_CAPS0_CAPABILITIES | linux.KEYCTL_CAPS0_PERSISTENT_KEYRINGS | linux.KEYCTL_CAPS0_INVALIDATE |
			linux.KEYCTL_CAPS0_RESTRICT_KEYRING | linux.KEYCTL_CAPS0_MOVE,
		linux.KEYCTL_CAPS1_NS_KEYRING_NAME | linux.KEYCTL_CAPS1_NS_KEY_TAG,
	}
	out, room := address(a[0]).Addr(), a[1]
	if _, err := t.CopyOut(out, caps[:min(uint64(len(caps)), room)]); err != nil {
		return 0, err
	}
	for at := uint64(len(caps)); at < room; {
		zeros := make([]byte, min(room-at, 4096))
		if _, err := t.CopyOut(out+arch.Addr(at), zeros); err != nil {
			return 0, err
		}
		at += uint64(len(zeros))
	}
	return len(caps), nil
}
