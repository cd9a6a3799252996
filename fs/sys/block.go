package sys

import (
	"bytes"
	"fmt"
	"strings"

	"garrison/fs/pseudo"
	"garrison/sentry/linux"
	"garrison/sentry/vfs"
)

// A disk is a block device: its name, for what there is of it changes.
type disk struct {
	fs   *FS
	name string
}

type diskEntry = pseudo.Entry[*disk]

// info is the device's state now; ok is false if it has gone.
func (d *disk) info(c vfs.Ctx) (i vfs.DiskInfo, ok bool) {
	for _, i := range d.fs.k.VFS.Disks(c) {
		if i.Name == d.name {
			return i, true
		}
	}
	return vfs.DiskInfo{}, false
}

func (d *disk) alive() bool {
	_, ok := d.info(d.fs.k.VFS.Internal())
	return ok
}

// disks is the block devices by name, or links to them.
type disks struct {
	fs *FS
	// link is what comes before a link to a device; "" for their own directory.
	link string
	// number: their names are their numbers.
	number bool
}

// disksNode makes a directory of block devices.
func disksNode(link string, number bool) func(*FS, vfs.Ctx, pseudo.Place) vfs.Inode {
	return func(fs *FS, _ vfs.Ctx, at pseudo.Place) vfs.Inode {
		return pseudo.NewDir(at, fs, pseudo.DirSpec[*FS]{Mode: 0o755, More: disks{fs, link, number}})
	}
}

func (d disks) nameOf(i *vfs.DiskInfo) string {
	if d.number {
		return fmt.Sprintf("%d:%d", i.Major, i.Minor)
	}
	return i.Name
}

// find is the device that has that name here.
func (d disks) find(c vfs.Ctx, name string) (vfs.DiskInfo, bool) {
	for _, i := range d.fs.k.VFS.Disks(c) {
		if d.nameOf(&i) == name {
			return i, true
		}
	}
	return vfs.DiskInfo{}, false
}

// Lookup implements pseudo.Dynamic.
func (d disks) Lookup(c vfs.Ctx, name string, at pseudo.Place) (vfs.Inode, error) {
	i, ok := d.find(c, name)
	if !ok {
		return nil, linux.ENOENT
	}
	x := &disk{fs: d.fs, name: i.Name}
	of := &pseudo.Subject[*disk]{Alive: (*disk).alive}
	if d.link != "" {
		return pseudo.NewFile(at, x, of, &diskEntry{Link: func(x *disk, _ vfs.Ctx) (string, error) {
			return d.link + "devices/virtual/block/" + x.name, nil
		}}), nil
	}
	return pseudo.NewDir(at, x, pseudo.DirSpec[*disk]{Mode: 0o755, Subject: of, Table: diskTable(), More: drivers{x}}), nil
}

// Valid implements pseudo.Dynamic.
func (d disks) Valid(c vfs.Ctx, name string, i vfs.Inode) bool {
	_, ok := d.find(c, name)
	return ok == (i != nil)
}

// Each implements pseudo.Dynamic: the key is the device's number.
func (d disks) Each(c vfs.Ctx, key int64, f func(int64, string, linux.FileMode) bool) error {
	mode := linux.FileMode(linux.S_IFDIR)
	if d.link != "" {
		mode = linux.S_IFLNK
	}
	for _, i := range d.fs.k.VFS.Disks(c) {
		at := int64(i.Major)<<20 | int64(i.Minor)
		if at >= key && !f(at, d.nameOf(&i), mode) {
			return nil
		}
	}
	return nil
}

// Links implements pseudo.Dynamic.
func (d disks) Links() int {
	if d.link != "" {
		return 0
	}
	return len(d.fs.k.VFS.Disks(d.fs.k.VFS.Internal()))
}

// drivers is the directory of what a device's driver says, while there is any.
type drivers struct{ d *disk }

// Lookup implements pseudo.Dynamic.
func (x drivers) Lookup(c vfs.Ctx, name string, at pseudo.Place) (vfs.Inode, error) {
	i, ok := x.d.info(c)
	if !ok || i.Driver == "" || i.Driver != name {
		return nil, linux.ENOENT
	}
	var table []diskEntry
	for n, f := range i.Facts {
		table = append(table, diskFile(f.Name, func(i *vfs.DiskInfo) string {
			if n >= len(i.Facts) {
				return "" // it is bound to nothing by now
			}
			return i.Facts[n].Text
		}))
	}
	of := &pseudo.Subject[*disk]{Alive: func(d *disk) bool { return d.driven(name) }}
	return pseudo.NewDir(at, x.d, pseudo.DirSpec[*disk]{Mode: 0o755, Subject: of, Table: table}), nil
}

// driven reports whether the driver with that directory has something to say.
func (d *disk) driven(name string) bool {
	i, ok := d.info(d.fs.k.VFS.Internal())
	return ok && i.Driver == name
}

// Valid implements pseudo.Dynamic.
func (x drivers) Valid(_ vfs.Ctx, name string, i vfs.Inode) bool {
	return (name != "" && x.d.driven(name)) == (i != nil)
}

// Each implements pseudo.Dynamic.
func (x drivers) Each(c vfs.Ctx, key int64, f func(int64, string, linux.FileMode) bool) error {
	if i, ok := x.d.info(c); ok && i.Driver != "" && key <= 0 {
		f(0, i.Driver, linux.S_IFDIR)
	}
	return nil
}

// Links implements pseudo.Dynamic.
func (x drivers) Links() int {
	if i, ok := x.d.info(x.d.fs.k.VFS.Internal()); ok && i.Driver != "" {
		return 1
	}
	return 0
}

// diskFile is a file about a device's present state.
func diskFile(name string, show func(i *vfs.DiskInfo) string) diskEntry {
	return diskEntry{Name: name, Show: func(d *disk, c vfs.Ctx, w *bytes.Buffer) error {
		i, ok := d.info(c)
		if !ok {
			return linux.ENODEV
		}
		w.WriteString(strings.TrimSuffix(show(&i), "\n") + "\n")
		return nil
	}}
}

// diskTable is the directory of a block device.
func diskTable() []diskEntry {
	fixed := func(name, s string) diskEntry { return diskFile(name, func(*vfs.DiskInfo) string { return s }) }
	number := func(name string, get func(i *vfs.DiskInfo) uint64) diskEntry {
		return diskFile(name, func(i *vfs.DiskInfo) string { return fmt.Sprint(get(i)) })
	}
	block := func(i *vfs.DiskInfo) uint64 { return uint64(i.BlockSize) }
	return []diskEntry{
		fixed("alignment_offset", "0"),
		fixed("capability", "0"),
		diskFile("dev", func(i *vfs.DiskInfo) string { return fmt.Sprintf("%d:%d", i.Major, i.Minor) }),
		fixed("discard_alignment", "0"),
		number("diskseq", func(i *vfs.DiskInfo) uint64 { return i.Sequence }),
		fixed("events", "media_change"),
		fixed("events_async", ""),
		fixed("ext_range", "1"),
		fixed("hidden", "0"),
		{Name: "holders", Mode: 0o755, Table: []diskEntry{}},
		fixed("inflight", "       0        0"),
		{Name: "queue", Mode: 0o755, Table: []diskEntry{
			fixed("discard_granularity", "4096"),
			fixed("discard_max_bytes", "4294966784"),
			fixed("discard_zeroes_data", "0"),
			number("hw_sector_size", block),
			number("logical_block_size", block),
			number("minimum_io_size", block),
			fixed("nr_requests", "128"),
			fixed("optimal_io_size", "0"),
			number("physical_block_size", block),
			number("read_ahead_kb", func(i *vfs.DiskInfo) uint64 { return uint64(i.ReadAhead) >> 10 }),
			fixed("rotational", "0"),
			fixed("scheduler", "[none]"),
			fixed("write_cache", "write back"),
			fixed("write_same_max_bytes", "0"),
			fixed("write_zeroes_max_bytes", "4294966784"),
			fixed("zoned", "none"),
		}},
		fixed("range", "1"),
		fixed("removable", "0"),
		number("ro", func(i *vfs.DiskInfo) uint64 {
			if i.WriteProtected {
				return 1
			}
			return 0
		}),
		number("size", func(i *vfs.DiskInfo) uint64 { return i.Sectors }),
		{Name: "slaves", Mode: 0o755, Table: []diskEntry{}},
		diskFile("stat", func(i *vfs.DiskInfo) string {
			s := fmt.Sprintf("%8d %8d %8d %8d %8d %8d %8d", i.Reads.Calls, 0, i.Reads.Sectors, 0, i.Writes.Calls, 0, i.Writes.Sectors)
			return s + strings.Repeat(fmt.Sprintf(" %8d", 0), 10)
		}),
		{Name: "subsystem", Link: func(*disk, vfs.Ctx) (string, error) { return "../../../../class/block", nil }},
		diskFile("uevent", func(i *vfs.DiskInfo) string {
			return fmt.Sprintf("MAJOR=%d\nMINOR=%d\nDEVNAME=%s\nDEVTYPE=disk\nDISKSEQ=%d", i.Major, i.Minor, i.Name, i.Sequence)
		}),
	}
}
