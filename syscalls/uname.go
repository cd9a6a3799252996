package syscalls

import (
	"garrison/platform/arch"
	"garrison/sentry/auth"
	"garrison/sentry/kernel"
	"garrison/sentry/linux"
	"garrison/sentry/usermem"
)

// personalityUname26 makes uname say 2.6.(60 + minor), for programs that take 6 for too new.
const personalityUname26 = 0x0020000

// uname implements uname(2).
func uname(t *kernel.Task, out usermem.Ptr[linux.NewUtsname]) (int, error) {
	k := t.Kernel()
	host, domain := t.Namespaces().UTS.Names()
	var u linux.NewUtsname
	put := func(dst *[linux.UTSLen + 1]byte, s string) { copy(dst[:linux.UTSLen], s) }
	put(&u.Sysname, "Linux")
	put(&u.Nodename, host)
	put(&u.Release, k.UTSRelease())
	if t.Personality()&personalityUname26 != 0 {
		put(&u.Release, "2.6.72")
	}
	put(&u.Version, k.UTSVersion())
	put(&u.Machine, "x86_64")
	if t.Personality()&linux.PER_MASK == linux.PER_LINUX32 {
		put(&u.Machine, "i686")
	}
	put(&u.Domainname, domain)
	return 0, out.Store(t, &u)
}

// loadName reads a host or domain name for a caller who may set it.
func loadName(t *kernel.Task, at address, n int32) (string, error) {
	if !t.Creds().HasCapIn(t.Namespaces().UTS.UserNS, auth.CapSysAdmin) {
		return "", linux.EPERM
	}
	if n < 0 || n > linux.UTSLen {
		return "", linux.EINVAL
	}
	b := make([]byte, n)
	if _, err := t.CopyIn(b, arch.Addr(at)); err != nil {
		return "", err
	}
	return string(b), nil
}

// sethostname implements sethostname(2).
func sethostname(t *kernel.Task, at address, n int32) (int, error) {
	s, err := loadName(t, at, n)
	if err == nil {
		t.Namespaces().UTS.SetHost(s)
	}
	return 0, err
}

// setdomainname implements setdomainname(2).
func setdomainname(t *kernel.Task, at address, n int32) (int, error) {
	s, err := loadName(t, at, n)
	if err == nil {
		t.Namespaces().UTS.SetDomain(s)
	}
	return 0, err
}

// sysinfo implements sysinfo(2).
func sysinfo(t *kernel.Task, out usermem.Ptr[linux.Sysinfo]) (int, error) {
	k := t.Kernel()
	s := k.Stats()
	used, _ := t.Container().Memory.Usage()
	total := max(k.Memory(), used)
	v := linux.Sysinfo{
		Uptime: (k.Uptime() + t.TimeOffset(linux.CLOCK_BOOTTIME) + 999_999_999) / 1e9, Procs: uint16(s.Tasks), Unit: 1,
		Totalram: total, Freeram: total - used,
	}
	return 0, out.Store(t, &v)
}

// personality implements personality(2).
func personality(t *kernel.Task, p uint32) (uint32, error) {
	old := t.Personality()
	if p != linux.PER_QUERY {
		t.SetPersonality(p)
	}
	return old, nil
}

// getrandom implements getrandom(2).
func getrandom(t *kernel.Task, at address, n size, flags uint32) (int64, error) {
	const nonblock, random, insecure = 1, 2, 4
	if flags&^(nonblock|random|insecure) != 0 || flags&(random|insecure) == random|insecure {
		return 0, linux.EINVAL
	}
	var buf [256]byte
	left, a, done := min(uint64(n), 1<<31-1), arch.Addr(at), int64(0)
	for left > 0 {
		b := buf[:min(left, uint64(len(buf)))]
		t.Kernel().Random(b)
		m, err := t.CopyOut(a, b)
		done += int64(m)
		if err != nil {
			if done > 0 {
				return done, nil
			}
			return 0, err
		}
		left, a = left-uint64(m), a+arch.Addr(m)
		if done >= arch.PageSize && t.Interrupted() {
			break
		}
	}
	return done, nil
}
