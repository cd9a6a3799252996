package oci

import (
	"encoding/binary"
	"math/rand"
	"net"
	"os"
	"path/filepath"
	"regexp"
	goruntime "runtime"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// floodFrames is how many frames one flood is, and floodMemory how many bytes a sentry may
// have more after it.
const (
	floodFrames = 100_000
	floodMemory = 128 << 20
)

// TestNetworkFloods has another machine send what nobody wants: the container goes on serving
// and has not grown.
func TestNetworkFloods(t *testing.T) {
	w := newWire(t)
	b := w.box()
	path, _ := netguest()
	w.in(w.outside, path, "tcp", "10.77.0.2")
	before := sentryMemory(t, b.id)
	f := &flooder{random: rand.New(rand.NewSource(1))}
	copy(f.to[:], hardwareAddress(t, w.in(w.inside, "cat", "/sys/class/net/eth0/address")))
	for _, flood := range []struct {
		name  string
		frame func() []byte
	}{
		{"connections begun", f.syn}, {"fragments", f.fragment}, {"fragments of IPv6", f.fragment6},
		{"neighbours", f.neighbour}, {"neighbours of IPv6", f.neighbour6}, {"noise", f.noise},
	} {
		t.Run(flood.name, func(t *testing.T) {
			w.flood(t, flood.frame)
			for _, address := range []string{"10.77.0.2", "fd77::2"} {
				w.in(w.outside, path, "latency", address)
			}
			after := sentryMemory(t, b.id)
			if after > before+floodMemory {
				t.Errorf("the sentry has %d MiB, and had %d before", after>>20, before>>20)
			}
		})
	}
}

// flood sends frames by the link of outside.
func (w *wire) flood(t *testing.T, frame func() []byte) {
	t.Helper()
	done := make(chan error)
	go func() {
		goruntime.LockOSThread() // and never unlocked: the thread ends in that namespace
		done <- func() error {
			ns, err := os.Open("/run/netns/" + w.outside)
			if err != nil {
				return err
			}
			defer ns.Close()
			if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
				return err
			}
			link, err := net.InterfaceByName("peer")
			if err != nil {
				return err
			}
			fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
			if err != nil {
				return err
			}
			defer unix.Close(fd)
			to := &unix.SockaddrLinklayer{Ifindex: link.Index}
			for range floodFrames {
				// Frames that the link has no room for are lost, as they may be.
				if err := unix.Sendto(fd, frame(), 0, to); err != nil && err != unix.ENOBUFS && err != unix.EINTR {
					return err
				}
			}
			return nil
		}()
	}()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// sentryMemory is how many bytes of its own a container's sentry has.
func sentryMemory(t *testing.T, id string) int {
	t.Helper()
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for _, d := range dirs {
		line, _ := os.ReadFile(d + "/cmdline")
		if !strings.HasPrefix(string(line), "runsc-sentry") || !strings.Contains(string(line), id) {
			continue
		}
		status, _ := os.ReadFile(d + "/status")
		if m := regexp.MustCompile(`RssAnon:\s+(\d+) kB`).FindSubmatch(status); m != nil {
			kb, _ := strconv.Atoi(string(m[1]))
			return kb << 10
		}
	}
	t.Fatalf("the sentry of %s is not to be found", id)
	return 0
}

func hardwareAddress(t *testing.T, text string) net.HardwareAddr {
	t.Helper()
	a, err := net.ParseMAC(strings.TrimSpace(text))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// A flooder makes frames to the container, from anybody.
type flooder struct {
	to     [6]byte
	random *rand.Rand
}

var (
	victim  = tcpip.AddrFrom4([4]byte{10, 77, 0, 2})
	victim6 = tcpip.AddrFrom16([16]byte{0xfd, 0x77, 15: 2})
)

// someone is an address that is reached by way of the other machine, or, if near, on its link.
func (f *flooder) someone(near bool) tcpip.Address {
	a := [4]byte{10, 78, byte(f.random.Intn(256)), byte(3 + f.random.Intn(252))} // neither end's
	if near {
		a[1], a[2] = 77, 0
	}
	return tcpip.AddrFrom4(a)
}

// someone6 is an address on the link.
func (f *flooder) someone6() tcpip.Address {
	a := [16]byte{0xfd, 0x77, 8: 1}
	binary.BigEndian.PutUint32(a[12:], f.random.Uint32())
	return tcpip.AddrFrom16(a)
}

// ethernet is a frame around a packet of a protocol.
func (f *flooder) ethernet(protocol tcpip.NetworkProtocolNumber, packet []byte) []byte {
	frame := make([]byte, header.EthernetMinimumSize, header.EthernetMinimumSize+len(packet))
	header.Ethernet(frame).Encode(&header.EthernetFields{
		SrcAddr: tcpip.LinkAddress([]byte{2, 0, 0, 0, 0, byte(f.random.Intn(256))}), DstAddr: tcpip.LinkAddress(f.to[:]), Type: protocol,
	})
	return append(frame, packet...)
}

// ip4 is a frame of IPv4 with a payload that begins after size bytes.
func (f *flooder) ip4(fields header.IPv4Fields, payload []byte) []byte {
	packet := make([]byte, header.IPv4MinimumSize+len(payload))
	fields.TotalLength, fields.TTL, fields.DstAddr = uint16(len(packet)), 64, victim
	ip := header.IPv4(packet)
	ip.Encode(&fields)
	ip.SetChecksum(^ip.CalculateChecksum())
	copy(packet[header.IPv4MinimumSize:], payload)
	return f.ethernet(header.IPv4ProtocolNumber, packet)
}

// ip6 is a frame of IPv6 with a payload that begins with a header of this kind.
func (f *flooder) ip6(from tcpip.Address, kind byte, payload []byte) []byte {
	packet := make([]byte, header.IPv6MinimumSize, header.IPv6MinimumSize+len(payload))
	packet[0], packet[6], packet[7] = 6<<4, kind, 255
	binary.BigEndian.PutUint16(packet[4:], uint16(len(payload)))
	ip := header.IPv6(packet)
	ip.SetSourceAddress(from)
	ip.SetDestinationAddress(victim6)
	return f.ethernet(header.IPv6ProtocolNumber, append(packet, payload...))
}

// syn begins a connection that will never be.
func (f *flooder) syn() []byte {
	from := f.someone(false)
	segment := header.TCP(make([]byte, header.TCPMinimumSize))
	segment.Encode(&header.TCPFields{
		SrcPort: uint16(1024 + f.random.Intn(60000)), DstPort: 7777, SeqNum: f.random.Uint32(),
		DataOffset: header.TCPMinimumSize, Flags: header.TCPFlagSyn, WindowSize: 65535,
	})
	sum := header.PseudoHeaderChecksum(header.TCPProtocolNumber, from, victim, header.TCPMinimumSize)
	segment.SetChecksum(^segment.CalculateChecksum(sum))
	return f.ip4(header.IPv4Fields{SrcAddr: from, Protocol: uint8(header.TCPProtocolNumber)}, segment)
}

// fragment is one of a datagram of which others overlap, and most never come.
func (f *flooder) fragment() []byte {
	return f.ip4(header.IPv4Fields{
		SrcAddr: f.someone(false), Protocol: uint8(header.UDPProtocolNumber), ID: uint16(f.random.Intn(64)),
		Flags: header.IPv4FlagMoreFragments, FragmentOffset: uint16(f.random.Intn(8000)) &^ 7,
	}, make([]byte, 8*(1+f.random.Intn(150))))
}

func (f *flooder) fragment6() []byte {
	payload := make([]byte, 8+8*(1+f.random.Intn(150)))
	payload[0] = uint8(header.UDPProtocolNumber)
	binary.BigEndian.PutUint16(payload[2:], uint16(f.random.Intn(1000))<<3|1) // more to come
	binary.BigEndian.PutUint32(payload[4:], uint32(f.random.Intn(64)))
	return f.ip6(f.someone6(), uint8(header.IPv6FragmentHeader), payload)
}

// neighbour asks by ARP, as somebody with any hardware address.
func (f *flooder) neighbour() []byte {
	packet := header.ARP(make([]byte, header.ARPSize))
	packet.SetIPv4OverEthernet()
	packet.SetOp(header.ARPRequest)
	f.random.Read(packet.HardwareAddressSender())
	from := f.someone(true)
	copy(packet.ProtocolAddressSender(), from.AsSlice())
	copy(packet.ProtocolAddressTarget(), victim.AsSlice())
	return f.ethernet(header.ARPProtocolNumber, packet)
}

// neighbour6 asks by ICMP.
func (f *flooder) neighbour6() []byte {
	from := f.someone6()
	message := make([]byte, header.ICMPv6NeighborSolicitMinimumSize+8)
	message[0] = byte(header.ICMPv6NeighborSolicit)
	copy(message[8:], victim6.AsSlice())
	message[24], message[25] = 1, 1 // the source's hardware address
	f.random.Read(message[26:])
	sum := header.PseudoHeaderChecksum(header.ICMPv6ProtocolNumber, from, victim6, uint16(len(message)))
	binary.BigEndian.PutUint16(message[2:], ^checksum.Checksum(message, sum))
	return f.ip6(from, uint8(header.ICMPv6ProtocolNumber), message)
}

// noise is anything behind the first bytes of a header, which may be right.
func (f *flooder) noise() []byte {
	packet := make([]byte, 1+f.random.Intn(1300))
	f.random.Read(packet)
	protocols := []tcpip.NetworkProtocolNumber{header.IPv4ProtocolNumber, header.IPv6ProtocolNumber, header.ARPProtocolNumber, 0x1234}
	i := f.random.Intn(len(protocols))
	if len(packet) > 40 && f.random.Intn(2) == 0 {
		switch i {
		case 0:
			packet[0] = 4<<4 | byte(5+f.random.Intn(11))
			copy(packet[16:], victim.AsSlice())
			packet[9] = []byte{1, 6, 17}[f.random.Intn(3)]
			ip := header.IPv4(packet)
			if int(ip.HeaderLength()) <= len(packet) {
				ip.SetChecksum(0)
				ip.SetChecksum(^ip.CalculateChecksum())
			}
		case 1:
			packet[0] = 6 << 4
			copy(packet[24:], victim6.AsSlice())
			packet[6] = []byte{0, 6, 17, 43, 44, 58, 60}[f.random.Intn(7)]
		}
	}
	return f.ethernet(protocols[i], packet)
}
