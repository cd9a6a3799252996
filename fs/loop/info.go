package loop

import (
	"fmt"

	"garrison/sentry/linux"
	"garrison/sentry/vfs"
)

// info is what /proc and /sys show of all devices.
func (s *Set) info(c vfs.Ctx) []vfs.DiskInfo {
	var out []vfs.DiskInfo
	for _, d := range s.list() {
		out = append(out, d.info(c))
	}
	return out
}

func (d *device) info(c vfs.Ctx) vfs.DiskInfo {
	b, bound := d.use()
	d.mu.Lock()
	i := vfs.DiskInfo{
		Name: fmt.Sprintf("loop%d", d.n), Major: linux.LOOP_MAJOR, Minor: d.n, Sectors: d.b.size >> linux.SectorShift,
		Sequence: d.sequence, BlockSize: d.block, ReadAhead: uint32(d.ahead) << linux.SectorShift, WriteProtected: d.protectedLocked(),
		Reads: d.reads.count(), Writes: d.writes.count(),
	}
	d.mu.Unlock()
	if !bound {
		return i
	}
	defer b.file.Release(c)
	flag := func(bit uint32) string {
		if b.flags&bit != 0 {
			return "1"
		}
		return "0"
	}
	i.Driver, i.Facts = "loop", []vfs.DiskFact{
		{Name: "autoclear", Text: flag(linux.LO_FLAGS_AUTOCLEAR)},
		{Name: "backing_file", Text: b.file.MappedName().Path},
		{Name: "dio", Text: flag(linux.LO_FLAGS_DIRECT_IO)},
		{Name: "offset", Text: fmt.Sprint(b.offset)},
		{Name: "partscan", Text: flag(linux.LO_FLAGS_PARTSCAN)},
		{Name: "sizelimit", Text: fmt.Sprint(b.limit)},
	}
	return i
}
