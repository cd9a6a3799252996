// Package sys is the sys filesystem, sysfs(5), as far as programs in a container
// look into it: processors and their caches, memory nodes, network interfaces, loop
// devices, and what the memory manager is set to. There is no hardware: buses and modules
// are empty.
package sys

import (
	"bytes"
	"fmt"

	"garrison/fs/pseudo"
	"garrison/sentry/auth"
	"garrison/sentry/kernel"
	"garrison/sentry/linux"
	"garrison/sentry/socket"
	"garrison/sentry/vfs"
)

// Type is the filesystem for mount(2). It shows the network namespace of whoever
// mounts it.
func Type(k *kernel.Kernel) *vfs.Type {
	return &vfs.Type{
		Name:  "sysfs",
		Magic: linux.SYSFS_MAGIC,
		Flags: vfs.UserMount | vfs.RevealsHost,
		Check: vfs.KnownOptions(),
		Owner: func(c vfs.Ctx) *auth.UserNamespace {
			if t, ok := kernel.Caller(c); ok && t.Namespaces().Net != nil {
				return t.Namespaces().Net.UserNS
			}
			return nil
		},
		New: func(c vfs.Ctx, a *vfs.NewArgs) (vfs.Inode, error) {
			var n *socket.Network
			if t, ok := kernel.Caller(c); ok {
				if ns := t.Namespaces().Net; ns != nil {
					n, _ = ns.Network.(*socket.Network)
				}
			}
			return Root(c, k, n), nil
		},
	}
}

// Root makes the root inode of a sysfs that shows n, which may be nil.
func Root(c vfs.Ctx, k *kernel.Kernel, n *socket.Network) vfs.Inode {
	if n == nil {
		n = socket.NewNetwork()
	}
	fs := &FS{k: k, net: n}
	at := (&pseudo.FS{Magic: linux.SYSFS_MAGIC, Blksize: 4096, Size: 4096, Time: c.Now()}).Root()
	return pseudo.NewDir(at, fs, pseudo.DirSpec[*FS]{Mode: 0o555, Table: rootTable()})
}

// A FS is one mounted instance.
type FS struct {
	k   *kernel.Kernel
	net *socket.Network
}

type entry = pseudo.Entry[*FS]

// dir is a directory of fixed entries.
func dir(name string, table ...entry) entry {
	if table == nil {
		table = []entry{}
	}
	return entry{Name: name, Mode: 0o755, Table: table}
}

// text is a file that always says s and a newline.
func text(name, s string) entry {
	return entry{Name: name, Show: func(_ *FS, _ vfs.Ctx, w *bytes.Buffer) error {
		w.WriteString(s + "\n")
		return nil
	}}
}

// setting is a file that takes whatever root writes and changes nothing.
func setting(name, s string) entry {
	e := text(name, s)
	e.Mode, e.Store = 0o644, func(*FS, vfs.Ctx, []byte) error { return nil }
	return e
}

func rootTable() []entry {
	return []entry{
		entry{Name: "block", Mode: 0o755, Node: disksNode("../", false)},
		dir("bus"),
		dir("class",
			entry{Name: "block", Mode: 0o755, Node: disksNode("../../", false)},
			dir("mem"),
			dir("misc"),
			entry{Name: "net", Mode: 0o755, Node: classNet},
			dir("thermal"),
			dir("tty"),
		),
		dir("dev", entry{Name: "block", Mode: 0o755, Node: disksNode("../../", true)}, dir("char")),
		dir("devices",
			dir("system",
				entry{Name: "cpu", Mode: 0o755, Node: cpusNode},
				dir("memory"),
				dir("node", nodeTable()...),
				dir("clocksource", dir("clocksource0", text("available_clocksource", "tsc"), text("current_clocksource", "tsc"))),
			),
			dir("virtual",
				entry{Name: "block", Mode: 0o755, Node: disksNode("", false)},
				entry{Name: "net", Mode: 0o755, Node: virtualNet},
			),
		),
		dir("firmware"),
		dir("fs", dir("bpf"), dir("cgroup"), dir("fuse", dir("connections"))),
		dir("kernel", kernelTable()...),
		dir("module"),
		dir("power"),
	}
}

func kernelTable() []entry {
	return []entry{
		text("address_bits", "64"),
		text("cpu_byteorder", "little"),
		text("fscaps", "1"),
		dir("debug"),
		dir("mm",
			dir("hugepages"),
			dir("ksm", text("run", "0"), text("pages_shared", "0"), text("pages_sharing", "0")),
			dir("transparent_hugepage",
				setting("defrag", "always defer defer+madvise madvise [never]"),
				setting("enabled", "always madvise [never]"),
				text("hpage_pmd_size", "2097152"),
				setting("shmem_enabled", "always within_size advise [never] deny force"),
				setting("use_zero_page", "1"),
			),
		),
		text("profiling", "0"),
		dir("security"),
		text("uevent_seqnum", "0"),
	}
}

// nodeTable is one memory node with all processors.
func nodeTable() []entry {
	cpus := func(name string, show func(n int) string) entry {
		return entry{Name: name, Show: func(fs *FS, _ vfs.Ctx, w *bytes.Buffer) error {
			w.WriteString(show(fs.k.CPUs()) + "\n")
			return nil
		}}
	}
	return []entry{
		text("has_cpu", "0"),
		text("has_memory", "0"),
		text("has_normal_memory", "0"),
		dir("node0",
			cpus("cpulist", listOf),
			cpus("cpumap", maskOf),
			text("distance", "10"),
			entry{Name: "meminfo", Show: showNodeMemory},
			text("numastat", "numa_hit 0\nnuma_miss 0\nnuma_foreign 0\ninterleave_hit 0\nlocal_node 0\nother_node 0"),
		),
		text("online", "0"),
		text("possible", "0"),
	}
}

func showNodeMemory(fs *FS, _ vfs.Ctx, w *bytes.Buffer) error {
	total := fs.k.Memory()
	used := uint64(0)
	for _, c := range fs.k.Containers() {
		if n, err := c.Memory.Usage(); err == nil {
			used += n
		}
	}
	used = min(used, total)
	fmt.Fprintf(w, "Node 0 MemTotal:       %8d kB\nNode 0 MemFree:        %8d kB\nNode 0 MemUsed:        %8d kB\n",
		total>>10, (total-used)>>10, used>>10)
	return nil
}
