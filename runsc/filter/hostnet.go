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
	for _, o := range set {
		if o.Level != unix.SOL_SOCKET { // which all sentries have
			t.Calls = append(t.Calls, Call{"setsockopt", unix.SYS_SETSOCKOPT, args{free, eq(o.Level), eq(o.Name)}})
		}
	}
	for _, o := range get {
		if o.Level != unix.SOL_SOCKET {
			t.Calls = append(t.Calls, Call{"getsockopt", unix.SYS_GETSOCKOPT, args{free, eq(o.Level), eq(o.Name)}})
		}
	}
	return t
}
