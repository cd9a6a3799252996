package sys

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"garrison/fs/pseudo"
	"garrison/sentry/linux"
	"garrison/sentry/vfs"
)

// listOf is processors 0 to n-1 as a list, maskOf as a mask, the way sysfs has them.
func listOf(n int) string {
	if n == 1 {
		return "0"
	}
	return fmt.Sprintf("0-%d", n-1)
}

func maskOf(n int) string { return mask(0, n) }

// mask is processors [first, end) in groups of 32 bits from the highest.
func mask(first, end int) string {
	var parts []string
	for i := (end - 1) / 32; i >= 0; i-- {
		word := uint32(0)
		for b := range 32 {
			if n := i*32 + b; n >= first && n < end {
				word |= 1 << b
			}
		}
		if len(parts) == 0 {
			parts = append(parts, fmt.Sprintf("%x", word))
		} else {
			parts = append(parts, fmt.Sprintf("%08x", word))
		}
	}
	return strings.Join(parts, ",")
}

// cpusNode is /sys/devices/system/cpu.
func cpusNode(fs *FS, _ vfs.Ctx, at pseudo.Place) vfs.Inode {
	list := listOf(fs.k.CPUs())
	return pseudo.NewDir(at, fs, pseudo.DirSpec[*FS]{Mode: 0o755, More: cpus{fs}, Table: []entry{
		dir("cpufreq"),
		dir("cpuidle"),
		text("isolated", ""),
		text("kernel_max", "8191"),
		text("offline", ""),
		text("online", list),
		text("possible", list),
		text("present", list),
		dir("smt", text("active", "0"), text("control", "notsupported")),
	}})
}

// cpus is cpu0, cpu1….
type cpus struct{ fs *FS }

// A processor is what /sys/devices/system/cpu/cpuN is about.
type processor struct {
	fs *FS
	n  int
}

// Lookup implements pseudo.Dynamic.
func (d cpus) Lookup(_ vfs.Ctx, name string, at pseudo.Place) (vfs.Inode, error) {
	s, ok := strings.CutPrefix(name, "cpu")
	n, err := strconv.Atoi(s)
	if !ok || err != nil || strconv.Itoa(n) != s || n < 0 || n >= d.fs.k.CPUs() {
		return nil, linux.ENOENT
	}
	return pseudo.NewDir(at, &processor{d.fs, n}, pseudo.DirSpec[*processor]{Mode: 0o755, Table: cpuTable()}), nil
}

// Valid implements pseudo.Dynamic: processors neither come nor go.
func (cpus) Valid(vfs.Ctx, string, vfs.Inode) bool { return true }

// Each implements pseudo.Dynamic: the key is the number.
func (d cpus) Each(_ vfs.Ctx, key int64, f func(int64, string, linux.FileMode) bool) error {
	for n := key; n < int64(d.fs.k.CPUs()); n++ {
		if !f(n, fmt.Sprintf("cpu%d", n), linux.S_IFDIR) {
			return nil
		}
	}
	return nil
}

// Links implements pseudo.Dynamic.
func (d cpus) Links() int { return d.fs.k.CPUs() }

type cpuEntry = pseudo.Entry[*processor]

func cpuFile(name string, show func(p *processor) string) cpuEntry {
	return cpuEntry{Name: name, Show: func(p *processor, _ vfs.Ctx, w *bytes.Buffer) error {
		w.WriteString(show(p) + "\n")
		return nil
	}}
}

// cpuTable is cpuN: every processor is a core of its own in one package.
func cpuTable() []cpuEntry {
	self := func(p *processor) string { return strconv.Itoa(p.n) }
	selfMask := func(p *processor) string { return mask(p.n, p.n+1) }
	all := func(p *processor) string { return listOf(p.fs.k.CPUs()) }
	allMask := func(p *processor) string { return maskOf(p.fs.k.CPUs()) }
	zero := func(*processor) string { return "0" }
	var caches []cpuEntry
	for i, c := range cpuCaches() {
		caches = append(caches, cpuEntry{Name: fmt.Sprintf("index%d", i), Mode: 0o755, Table: c.table()})
	}
	table := []cpuEntry{
		{Name: "node0", Link: func(*processor, vfs.Ctx) (string, error) { return "../../node/node0", nil }},
		{Name: "topology", Mode: 0o755, Table: []cpuEntry{
			cpuFile("cluster_cpus", selfMask), cpuFile("cluster_cpus_list", self), cpuFile("cluster_id", func(*processor) string { return "65535" }),
			cpuFile("core_cpus", selfMask), cpuFile("core_cpus_list", self), cpuFile("core_id", self),
			cpuFile("core_siblings", allMask), cpuFile("core_siblings_list", all),
			cpuFile("die_cpus", allMask), cpuFile("die_cpus_list", all), cpuFile("die_id", zero),
			cpuFile("package_cpus", allMask), cpuFile("package_cpus_list", all), cpuFile("physical_package_id", zero),
			cpuFile("thread_siblings", selfMask), cpuFile("thread_siblings_list", self),
		}},
	}
	if caches != nil { // CPUID of some virtual machines tells of none
		table = append(table, cpuEntry{Name: "cache", Mode: 0o755, Table: caches})
	}
	return table
}

// A cache is one that the CPUID instruction tells of.
type cache struct {
	kind                   string
	level, line, ways, set uint32
}

func (c cache) table() []cpuEntry {
	number := func(name string, v uint32) cpuEntry {
		return cpuFile(name, func(*processor) string { return fmt.Sprint(v) })
	}
	// The last level is shared by all, the others belong to one.
	shared := c.level >= 3
	return []cpuEntry{
		number("coherency_line_size", c.line),
		cpuFile("id", func(p *processor) string {
			if shared {
				return "0"
			}
			return strconv.Itoa(p.n)
		}),
		number("level", c.level),
		number("number_of_sets", c.set),
		number("physical_line_partition", 1),
		cpuFile("shared_cpu_list", func(p *processor) string {
			if shared {
				return listOf(p.fs.k.CPUs())
			}
			return strconv.Itoa(p.n)
		}),
		cpuFile("shared_cpu_map", func(p *processor) string {
			if shared {
				return maskOf(p.fs.k.CPUs())
			}
			return mask(p.n, p.n+1)
		}),
		cpuFile("size", func(*processor) string { return fmt.Sprintf("%dK", c.line*c.ways*c.set>>10) }),
		cpuFile("type", func(*processor) string { return c.kind }),
		number("ways_of_associativity", c.ways),
	}
}
