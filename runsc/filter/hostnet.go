package filter

import (
	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/seccomp"
)

// An Option is an option of sockets, by getsockopt(2)'s level and name.
type Option struct{ Level, Name int32 }

// Dial is what a sentry needs besides that connects TCP sockets it was given: connect(2), with
// an address of IPv4. Unix sockets that are not connected, or have no name, it can't make.
func Dial() Table {
	return Table{"dial", []Call{{"connect", unix.SYS_CONNECT, args{free, free, eq(unix.SizeofSockaddrInet4)}}}}
}

// HostNetwork is what a sentry needs besides whose guest uses the host's sockets: to make
// such of the Internet's, and none else, to bind and connect them, and the options in set
// and get. Neither a name nor a path of a unix socket gets anywhere, as the sentry can't
// make one that is not connected.
func HostNetwork(set, get []Option) Table {
	const made = unix.SOCK_NONBLOCK | unix.SOCK_CLOEXEC
	t := Table{Feature: "host network"}
	for _, k := range []struct{ family, typ, protocol uintptr }{
		{unix.AF_INET, unix.SOCK_STREAM, unix.IPPROTO_TCP},
		{unix.AF_INET, unix.SOCK_DGRAM, unix.IPPROTO_UDP},
		{unix.AF_INET, unix.SOCK_DGRAM, unix.IPPROTO_UDPLITE},
		{unix.AF_INET, unix.SOCK_DGRAM, unix.IPPROTO_ICMP},
		{unix.AF_INET6, unix.SOCK_STREAM, unix.IPPROTO_TCP},
		{unix.AF_INET6, unix.SOCK_DGRAM, unix.IPPROTO_UDP},
		{unix.AF_INET6, unix.SOCK_DGRAM, unix.IPPROTO_UDPLITE},
		{unix.AF_INET6, unix.SOCK_DGRAM, unix.IPPROTO_ICMPV6},
	} {
		t.Calls = append(t.Calls, Call{"socket", unix.SYS_SOCKET, args{eq(k.family), eq(k.typ | made), eq(k.protocol)}})
	}
	for _, c := range []struct {
		name string
		nr   uintptr
	}{{"bind", unix.SYS_BIND}, {"connect", unix.SYS_CONNECT}} {
		t.Calls = append(t.Calls, Call{c.name, c.nr, args{free, free, seccomp.LessThanOrEqual(unix.SizeofSockaddrInet6)}})
	}
	t.Calls = append(t.Calls,
		Call{"listen", unix.SYS_LISTEN, args{}},
		Call{"ioctl", unix.SYS_IOCTL, args{free, eq(unix.SIOCATMARK)}},
	)
	t.Calls = append(t.Calls, options("setsockopt", unix.SYS_SETSOCKOPT, set)...)
	t.Calls = append(t.Calls, options("getsockopt", unix.SYS_GETSOCKOPT, get)...)
	return t
}

// options is a call on each of the options in l, which are in order, but for those of SOL_SOCKET,
// which all sentries have. As a program has 4096 instructions at most, options whose names differ
// in their last bits only are one rule, if there are all that do.
func options(name string, nr uintptr, l []Option) (calls []Call) {
	for len(l) > 0 {
		first, n := l[0], 1
		for 2*n <= len(l) && first.Name&int32(2*n-1) == 0 && l[2*n-1] == (Option{first.Level, first.Name + int32(2*n-1)}) {
			n *= 2
		}
		l = l[n:]
		if first.Level == unix.SOL_SOCKET {
			continue
		}
		names := seccomp.ValueMatcher(eq(first.Name))
		if n > 1 {
			names = seccomp.MaskedEqual(^uintptr(n-1), uintptr(first.Name))
		}
		calls = append(calls, Call{name, nr, args{free, eq(first.Level), names}})
	}
	return calls
}
