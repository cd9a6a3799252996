package syscalls

import (
	"garrison/sentry/auth"
	"garrison/sentry/kernel"
	"garrison/sentry/linux"
	"garrison/sentry/usermem"
)

// capVersion reads the header and says how many CapData follow. An unknown version
// is answered with the preferred one and EINVAL.
func capVersion(t *kernel.Task, p usermem.Ptr[linux.CapHeader]) (h linux.CapHeader, n int, err error) {
	if h, err = p.Load(t); err != nil {
		return h, 0, err
	}
	switch h.Version {
	case linux.CAPABILITY_VERSION_1:
		return h, 1, nil
	case linux.CAPABILITY_VERSION_2, linux.CAPABILITY_VERSION_3:
		return h, 2, nil
	}
	h.Version = linux.CAPABILITY_VERSION_3
	if err := p.Store(t, &h); err != nil {
		return h, 0, err
	}
	return h, 0, linux.EINVAL
}

// capget implements capget(2).
func capget(t *kernel.Task, header usermem.Ptr[linux.CapHeader], data usermem.Ptr[linux.CapData]) (int, error) {
	h, n, err := capVersion(t, header)
	if err != nil {
		if err == linux.EINVAL && data == 0 {
			return 0, nil // a probe for the version
		}
		return 0, err
	}
	if h.Pid < 0 {
		return 0, linux.EINVAL
	}
	x, err := taskOf(t, h.Pid)
	if err != nil {
		return 0, err
	}
	c := x.Creds()
	out := make([]linux.CapData, n)
	for i := range out {
		s := 32 * i
		out[i] = linux.CapData{Effective: uint32(c.Effective >> s), Permitted: uint32(c.Permitted >> s), Inheritable: uint32(c.Inheritable >> s)}
	}
	return 0, data.StoreSlice(t, out)
}

// capset implements capset(2).
func capset(t *kernel.Task, header usermem.Ptr[linux.CapHeader], data usermem.Ptr[linux.CapData]) (int, error) {
	h, n, err := capVersion(t, header)
	if err != nil {
		return 0, err
	}
	if h.Pid != 0 && h.Pid != t.TID() {
		return 0, linux.EPERM
	}
	in, err := data.LoadSlice(t, n)
	if err != nil {
		return 0, err
	}
	var e, p, i auth.Caps
	for k, d := range in {
		s := 32 * k
		e |= auth.Caps(d.Effective) << s
		p |= auth.Caps(d.Permitted) << s
		i |= auth.Caps(d.Inheritable) << s
	}
	e, p, i = e&auth.AllCaps, p&auth.AllCaps, i&auth.AllCaps
	c := t.Creds()
	switch {
	case i&^(c.Inheritable|c.Permitted) != 0 && !c.HasCap(auth.CapSetpcap),
		i&^(c.Inheritable|c.Bounding) != 0,
		p&^c.Permitted != 0,
		e&^p != 0:
		return 0, linux.EPERM
	}
	nc := c.Clone()
	nc.Effective, nc.Permitted, nc.Inheritable = e, p, i
	nc.Ambient &= p & i
	t.SetCreds(nc)
	return 0, nil
}
