// Sockopts prints what getsockopt(2) and setsockopt(2) do with every option of every kind
// of socket: a line for each value that is set, and for each length. It judges nothing;
// who runs it compares two kernels.
package main

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// kinds are the sockets.
var kinds = []struct {
	name                  string
	family, typ, protocol int
	levels                []string
}{
	{"tcp4", unix.AF_INET, unix.SOCK_STREAM, 0, []string{"SOCKET", "IP", "IPV6", "TCP", "UDP"}},
	{"tcp6", unix.AF_INET6, unix.SOCK_STREAM, 0, []string{"SOCKET", "IP", "IPV6", "TCP"}},
	{"udp4", unix.AF_INET, unix.SOCK_DGRAM, 0, []string{"SOCKET", "IP", "UDP", "TCP"}},
	{"udp6", unix.AF_INET6, unix.SOCK_DGRAM, 0, []string{"IP", "IPV6", "UDP"}},
	{"udplite4", unix.AF_INET, unix.SOCK_DGRAM, unix.IPPROTO_UDPLITE, []string{"UDP"}},
	{"raw4", unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_ICMP, []string{"SOCKET", "IP", "RAW"}},
	{"raw6", unix.AF_INET6, unix.SOCK_RAW, unix.IPPROTO_ICMPV6, []string{"IP", "IPV6", "RAW", "ICMPV6"}},
	{"header4", unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_RAW, []string{"SOCKET", "IP", "RAW"}},
	{"ping4", unix.AF_INET, unix.SOCK_DGRAM, unix.IPPROTO_ICMP, []string{"SOCKET", "IP"}},
	{"ping6", unix.AF_INET6, unix.SOCK_DGRAM, unix.IPPROTO_ICMPV6, []string{"IP", "IPV6"}},
	{"unix", unix.AF_UNIX, unix.SOCK_STREAM, 0, []string{"SOCKET", "TCP"}},
	{"unixdgram", unix.AF_UNIX, unix.SOCK_DGRAM, 0, []string{"SOCKET"}},
	{"unixpacket", unix.AF_UNIX, unix.SOCK_SEQPACKET, 0, []string{"SOCKET"}},
	{"route", unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_ROUTE, []string{"SOCKET", "NETLINK"}},
}

// levels are their numbers, and the highest option that is looked at.
var levels = map[string]struct{ number, last int }{
	"SOCKET":  {unix.SOL_SOCKET, 90},
	"IP":      {unix.SOL_IP, 60},
	"IPV6":    {unix.SOL_IPV6, 79},
	"TCP":     {unix.SOL_TCP, 48},
	"UDP":     {unix.SOL_UDP, 105},
	"RAW":     {unix.SOL_RAW, 8},
	"ICMPV6":  {unix.SOL_ICMPV6, 2},
	"NETLINK": {unix.SOL_NETLINK, 14},
}

var (
	values  = []int32{-2, -1, 0, 1, 2, 3, 7, 64, 255, 256, 1500, 65536, 1 << 30}
	lengths = []int{0, 1, 3, 8, 12, 16, 20, 136}
)

func main() {
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	for _, k := range kinds {
		for _, name := range k.levels {
			level := levels[name]
			for option := range level.last + 1 {
				o := probe{level.number, option, func() int { return open(k.family, k.typ, k.protocol) }}
				o.print(out, fmt.Sprintf("%s %s %d", k.name, name, option))
			}
		}
	}
}

func open(family, typ, protocol int) int {
	fd, err := unix.Socket(family, typ, protocol)
	if err != nil {
		fmt.Fprintln(os.Stderr, "sockopts: socket:", family, typ, protocol, err)
		os.Exit(1)
	}
	return fd
}

// A probe is one option of one kind of socket.
type probe struct {
	level, option int
	open          func() int
}

func (p probe) print(out *bufio.Writer, what string) {
	fd := p.open()
	for _, n := range []uint32{64, 4, 0, 1, 3} {
		fmt.Fprintf(out, "%s get/%d: %s\n", what, n, p.get(fd, n))
	}
	unix.Close(fd)
	for _, v := range values {
		b := binary.LittleEndian.AppendUint32(nil, uint32(v))
		fmt.Fprintf(out, "%s set %d: %s\n", what, v, p.set(b))
	}
	for _, n := range lengths {
		b := make([]byte, n)
		if n > 0 {
			b[0] = 1
		}
		fmt.Fprintf(out, "%s set/%d: %s\n", what, n, p.set(b))
	}
}

// get is the value, as far as n bytes have room for it, and its length.
func (p probe) get(fd int, n uint32) string {
	b := make([]byte, 256)
	_, _, e := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), uintptr(p.level), uintptr(p.option),
		uintptr(unsafe.Pointer(&b[0])), uintptr(unsafe.Pointer(&n)), 0)
	if e != 0 {
		return unix.ErrnoName(e)
	}
	return fmt.Sprintf("%d %s", n, hex.EncodeToString(b[:n]))
}

// set sets the option of a new socket, and reads it.
func (p probe) set(b []byte) string {
	fd := p.open()
	defer unix.Close(fd)
	var at *byte
	if len(b) > 0 {
		at = &b[0]
	}
	_, _, e := unix.Syscall6(unix.SYS_SETSOCKOPT, uintptr(fd), uintptr(p.level), uintptr(p.option),
		uintptr(unsafe.Pointer(at)), uintptr(len(b)), 0)
	if e != 0 {
		return unix.ErrnoName(e) + ", " + p.get(fd, 64)
	}
	return "ok, " + p.get(fd, 64)
}
