package proc

import (
	"bytes"
	"fmt"
	"strings"

	"garrison/sentry/linux"
	"garrison/sentry/mm"
	"garrison/sentry/vfs"
)

// regions is p's mappings; none if it has no memory any more.
func (p *process) regions(usage bool) []mm.Region {
	m := p.memory()
	if m == nil {
		return nil
	}
	defer m.DecUsers()
	return m.Regions(usage)
}

// mapsColumn is where names begin in a line of maps.
const mapsColumn = 73

// showMaps is /proc/pid/maps.
func showMaps(p *process, _ vfs.Ctx, w *bytes.Buffer) error {
	for _, r := range p.regions(false) {
		writeRegion(w, &r)
	}
	return nil
}

func writeRegion(w *bytes.Buffer, r *mm.Region) {
	share := 'p'
	if r.Shared {
		share = 's'
	}
	start := w.Len()
	fmt.Fprintf(w, "%08x-%08x %s%c %08x %02x:%02x %d ", uint64(r.Start), uint64(r.End), r.Access, share, r.Offset,
		linux.Major(r.Dev), linux.Minor(r.Dev), r.Ino)
	if r.Name != "" {
		for w.Len()-start < mapsColumn {
			w.WriteByte(' ')
		}
		w.WriteString(strings.ReplaceAll(r.Name, "\n", `\012`))
	}
	w.WriteByte('\n')
}

// usage is the lines of smaps, in bytes.
type usage struct {
	rss, sharedClean, sharedDirty, privateClean, privateDirty, anonymous, locked uint64
}

func (u *usage) add(r *mm.Region) {
	u.rss += r.RSS
	u.sharedClean += r.SharedClean
	u.sharedDirty += r.SharedDirty
	u.privateClean += r.PrivateClean
	u.privateDirty += r.PrivateDirty
	u.anonymous += r.Anonymous
	if r.Locked {
		u.locked += r.RSS
	}
}

// pss counts what is shared as shared by two: who else has it is not known.
func (u *usage) pss() uint64 {
	return u.privateClean + u.privateDirty + (u.sharedClean+u.sharedDirty)/2
}

func kilobytes(w *bytes.Buffer, name string, n uint64) {
	fmt.Fprintf(w, "%-16s%8d kB\n", name+":", n>>10)
}

// showSmaps is /proc/pid/smaps.
func showSmaps(p *process, _ vfs.Ctx, w *bytes.Buffer) error {
	for _, r := range p.regions(true) {
		writeRegion(w, &r)
		kilobytes(w, "Size", r.Len())
		kilobytes(w, "KernelPageSize", page)
		kilobytes(w, "MMUPageSize", page)
		var u usage
		u.add(&r)
		u.write(w, false)
		w.WriteString("THPeligible:           0\n")
		fmt.Fprintf(w, "VmFlags: %s \n", strings.TrimSpace(r.Flags))
	}
	return nil
}

// write is what smaps and smaps_rollup have in common.
func (u *usage) write(w *bytes.Buffer, rollup bool) {
	kilobytes(w, "Rss", u.rss)
	kilobytes(w, "Pss", u.pss())
	kilobytes(w, "Pss_Dirty", u.privateDirty+u.sharedDirty/2)
	if rollup {
		kilobytes(w, "Pss_Anon", min(u.anonymous, u.pss()))
		kilobytes(w, "Pss_File", u.pss()-min(u.anonymous, u.pss()))
		kilobytes(w, "Pss_Shmem", 0)
	}
	kilobytes(w, "Shared_Clean", u.sharedClean)
	kilobytes(w, "Shared_Dirty", u.sharedDirty)
	kilobytes(w, "Private_Clean", u.privateClean)
	kilobytes(w, "Private_Dirty", u.privateDirty)
	kilobytes(w, "Referenced", u.rss)
	kilobytes(w, "Anonymous", u.anonymous)
	for _, name := range [...]string{
		"KSM", "LazyFree", "AnonHugePages", "ShmemPmdMapped", "FilePmdMapped", "Shared_Hugetlb", "Private_Hugetlb",
		"Swap", "SwapPss",
	} {
		kilobytes(w, name, 0)
	}
	kilobytes(w, "Locked", u.locked)
}

// showSmapsRollup is /proc/pid/smaps_rollup.
func showSmapsRollup(p *process, _ vfs.Ctx, w *bytes.Buffer) error {
	all := p.regions(true)
	if n := len(all); n > 0 && all[n-1].Name == "[vsyscall]" {
		all = all[:n-1] // it is not the process's
	}
	if len(all) == 0 {
		return linux.ESRCH
	}
	var u usage
	for i := range all {
		u.add(&all[i])
	}
	start := w.Len()
	fmt.Fprintf(w, "%08x-%08x ---p 00000000 00:00 0 ", uint64(all[0].Start), uint64(all[len(all)-1].End))
	for w.Len()-start < mapsColumn {
		w.WriteByte(' ')
	}
	w.WriteString("[rollup]\n")
	u.write(w, true)
	return nil
}

// showNumaMaps is /proc/pid/numa_maps on a machine with one node.
func showNumaMaps(p *process, _ vfs.Ctx, w *bytes.Buffer) error {
	for _, r := range p.regions(true) {
		fmt.Fprintf(w, "%08x default", uint64(r.Start))
		switch {
		case r.File:
			fmt.Fprintf(w, " file=%s", strings.NewReplacer(" ", `\040`, "\n", `\012`).Replace(r.Name))
		case r.Name == "[heap]":
			w.WriteString(" heap")
		case r.Name == "[stack]":
			w.WriteString(" stack")
		}
		if r.Anonymous > 0 {
			fmt.Fprintf(w, " anon=%d dirty=%d", r.Anonymous/page, r.Anonymous/page)
		}
		if r.RSS > 0 {
			fmt.Fprintf(w, " N0=%d", r.RSS/page)
		}
		fmt.Fprintf(w, " kernelpagesize_kB=4\n")
	}
	return nil
}
