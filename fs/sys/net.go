package sys

import (
	"bytes"
	"fmt"
	"net"

	"garrison/fs/pseudo"
	"garrison/sentry/linux"
	"garrison/sentry/socket"
	"garrison/sentry/vfs"
)

// classNet is /sys/class/net: links to virtualNet's directories.
func classNet(fs *FS, _ vfs.Ctx, at pseudo.Place) vfs.Inode {
	return pseudo.NewDir(at, fs, pseudo.DirSpec[*FS]{Mode: 0o755, More: links{fs, linux.S_IFLNK}})
}

// virtualNet is /sys/devices/virtual/net.
func virtualNet(fs *FS, _ vfs.Ctx, at pseudo.Place) vfs.Inode {
	return pseudo.NewDir(at, fs, pseudo.DirSpec[*FS]{Mode: 0o755, More: links{fs, linux.S_IFDIR}})
}

// links is the network's interfaces by name.
type links struct {
	fs   *FS
	mode linux.FileMode
}

// A device is a network interface: its name, for its state changes.
type device struct {
	fs   *FS
	name string
}

// link is the device's state now; ok is false if it has gone.
func (d *device) link() (socket.Link, bool) {
	for _, l := range d.fs.net.Interfaces().Links() {
		if l.Name == d.name {
			return l, true
		}
	}
	return socket.Link{}, false
}

func (d *device) alive() bool {
	_, ok := d.link()
	return ok
}

// Lookup implements pseudo.Dynamic.
func (d links) Lookup(_ vfs.Ctx, name string, at pseudo.Place) (vfs.Inode, error) {
	dev := &device{d.fs, name}
	if !dev.alive() {
		return nil, linux.ENOENT
	}
	of := &pseudo.Subject[*device]{Alive: (*device).alive}
	if d.mode == linux.S_IFLNK {
		return pseudo.NewFile(at, dev, of, &deviceEntry{Link: func(d *device, _ vfs.Ctx) (string, error) {
			return "../../devices/virtual/net/" + d.name, nil
		}}), nil
	}
	return pseudo.NewDir(at, dev, pseudo.DirSpec[*device]{Mode: 0o755, Subject: of, Table: deviceTable()}), nil
}

// Valid implements pseudo.Dynamic.
func (d links) Valid(_ vfs.Ctx, name string, i vfs.Inode) bool {
	return (&device{d.fs, name}).alive() == (i != nil)
}

// Each implements pseudo.Dynamic: the key is the interface's index.
func (d links) Each(_ vfs.Ctx, key int64, f func(int64, string, linux.FileMode) bool) error {
	for _, l := range d.fs.net.Interfaces().Links() {
		if int64(l.Index) >= key && !f(int64(l.Index), l.Name, d.mode) {
			return nil
		}
	}
	return nil
}

// Links implements pseudo.Dynamic.
func (d links) Links() int {
	if d.mode == linux.S_IFLNK {
		return 0
	}
	return len(d.fs.net.Interfaces().Links())
}

type deviceEntry = pseudo.Entry[*device]

// Flags of a link that operstate and carrier follow, <linux/if.h>.
const (
	iffUp       = 0x1
	iffLoopback = 0x8
	iffRunning  = 0x40
	// iffVolatile is the flags that the file "flags" does not have.
	iffVolatile = 0x70c40 | iffRunning
)

// linkFile is a file about a link's present state.
func linkFile(name string, show func(l *socket.Link) string) deviceEntry {
	return deviceEntry{Name: name, Show: func(d *device, _ vfs.Ctx, w *bytes.Buffer) error {
		l, ok := d.link()
		if !ok {
			return linux.ENODEV
		}
		w.WriteString(show(&l) + "\n")
		return nil
	}}
}

// linkNumber is a linkFile of a number.
func linkNumber(name string, get func(l *socket.Link) uint64) deviceEntry {
	return linkFile(name, func(l *socket.Link) string { return fmt.Sprint(get(l)) })
}

// uncounted is the statistics of what a link without hardware never has.
var uncounted = [...]string{
	"collisions", "multicast", "rx_compressed", "rx_crc_errors", "rx_fifo_errors", "rx_frame_errors", "rx_length_errors",
	"rx_missed_errors", "rx_nohandler", "rx_over_errors", "tx_aborted_errors", "tx_carrier_errors", "tx_compressed",
	"tx_fifo_errors", "tx_heartbeat_errors", "tx_window_errors",
}

// statisticsTable is the counters of a link.
func statisticsTable() []deviceEntry {
	all := []deviceEntry{
		linkNumber("rx_bytes", func(l *socket.Link) uint64 { return l.Stats.RxBytes }),
		linkNumber("rx_dropped", func(l *socket.Link) uint64 { return l.Stats.RxDropped }),
		linkNumber("rx_errors", func(l *socket.Link) uint64 { return l.Stats.RxErrors }),
		linkNumber("rx_packets", func(l *socket.Link) uint64 { return l.Stats.RxPackets }),
		linkNumber("tx_bytes", func(l *socket.Link) uint64 { return l.Stats.TxBytes }),
		linkNumber("tx_dropped", func(l *socket.Link) uint64 { return l.Stats.TxDropped }),
		linkNumber("tx_errors", func(l *socket.Link) uint64 { return l.Stats.TxErrors }),
		linkNumber("tx_packets", func(l *socket.Link) uint64 { return l.Stats.TxPackets }),
	}
	for _, name := range uncounted {
		all = append(all, linkNumber(name, func(*socket.Link) uint64 { return 0 }))
	}
	return all
}

// deviceTable is the directory of a link.
func deviceTable() []deviceEntry {
	file, number := linkFile, linkNumber
	fixed := func(name, s string) deviceEntry { return file(name, func(*socket.Link) string { return s }) }
	refused := func(name string) deviceEntry {
		return deviceEntry{Name: name, Show: func(*device, vfs.Ctx, *bytes.Buffer) error { return linux.EINVAL }}
	}
	return []deviceEntry{
		fixed("addr_assign_type", "0"),
		fixed("addr_len", "6"),
		file("address", func(l *socket.Link) string { return net.HardwareAddr(l.Hardware[:]).String() }),
		file("broadcast", func(l *socket.Link) string {
			if l.Flags&iffLoopback != 0 {
				return "00:00:00:00:00:00"
			}
			return "ff:ff:ff:ff:ff:ff"
		}),
		file("carrier", func(l *socket.Link) string { return fmt.Sprint(l.Flags & iffUp) }),
		fixed("carrier_changes", "0"),
		fixed("carrier_down_count", "0"),
		fixed("carrier_up_count", "0"),
		fixed("dev_id", "0x0"),
		fixed("dev_port", "0"),
		fixed("dormant", "0"),
		refused("duplex"),
		file("flags", func(l *socket.Link) string { return fmt.Sprintf("%#x", l.Flags&^iffVolatile) }),
		fixed("gro_flush_timeout", "0"),
		fixed("ifalias", ""),
		number("ifindex", func(l *socket.Link) uint64 { return uint64(l.Index) }),
		number("iflink", func(l *socket.Link) uint64 { return uint64(l.Index) }),
		fixed("link_mode", "0"),
		number("mtu", func(l *socket.Link) uint64 { return uint64(l.MTU) }),
		fixed("name_assign_type", "2"),
		fixed("napi_defer_hard_irqs", "0"),
		fixed("netdev_group", "0"),
		file("operstate", operstate),
		fixed("proto_down", "0"),
		refused("speed"),
		{Name: "statistics", Mode: 0o755, Table: statisticsTable()},
		{Name: "subsystem", Link: func(*device, vfs.Ctx) (string, error) { return "../../../../class/net", nil }},
		fixed("testing", "0"),
		fixed("threaded", "0"),
		fixed("tx_queue_len", "1000"),
		number("type", func(l *socket.Link) uint64 { return uint64(l.Type) }),
		file("uevent", func(l *socket.Link) string { return fmt.Sprintf("INTERFACE=%s\nIFINDEX=%d", l.Name, l.Index) }),
	}
}

// operstate is a link's state in the words of RFC 2863.
func operstate(l *socket.Link) string {
	switch {
	case l.Flags&iffUp == 0:
		return "down"
	case l.Flags&iffLoopback != 0:
		return "unknown"
	}
	return "up"
}
