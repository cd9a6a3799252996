package proc

import (
	"bytes"
	"fmt"
	"strconv"

	"garrison/fs/pseudo"
	"garrison/sentry/linux"
	"garrison/sentry/vfs"
)

type rootEntry = pseudo.Entry[*FS]

// selfTable is what subset=pid leaves of the root.
func selfTable() []rootEntry {
	return []rootEntry{
		{Name: "self", Link: readSelf},
		{Name: "thread-self", Link: readThreadSelf},
	}
}

// rootTable is /proc, beside the processes.
func rootTable() []rootEntry {
	return append(selfTable(), []rootEntry{
		{Name: "buddyinfo", Show: static("")},
		{Name: "bus", Table: []rootEntry{}},
		{Name: "cgroups", Show: showCgroups},
		{Name: "cmdline", Show: showKernelCmdline},
		{Name: "consoles", Show: static("")},
		{Name: "cpuinfo", Show: showCPUInfo},
		{Name: "crypto", Show: static("")},
		{Name: "devices", Show: static(devices)},
		{Name: "diskstats", Show: showDiskStats},
		{Name: "dma", Show: static(" 4: cascade\n")},
		{Name: "driver", Table: []rootEntry{}},
		{Name: "execdomains", Show: static("0-0\tLinux           \t[kernel]\n")},
		{Name: "filesystems", Show: showFilesystems},
		{Name: "fs", Table: []rootEntry{}},
		{Name: "interrupts", Show: showInterrupts},
		{Name: "iomem", Show: static("")},
		{Name: "ioports", Show: static("")},
		{Name: "irq", Table: []rootEntry{}},
		{Name: "key-users", Show: showKeyUsers},
		{Name: "keys", Show: showKeys},
		{Name: "loadavg", Show: showLoadavg},
		{Name: "locks", Show: showLocks},
		{Name: "meminfo", Show: showMeminfo},
		{Name: "misc", Show: static("")},
		{Name: "modules", Show: static("")},
		{Name: "mounts", Link: fixed("self/mounts")},
		{Name: "mtrr", Show: static("")},
		{Name: "net", Link: fixed("self/net")},
		{Name: "partitions", Show: showPartitions},
		{Name: "pressure", Table: pressureTable()},
		{Name: "schedstat", Show: showKernelSchedstat},
		{Name: "slabinfo", Mode: 0o400, Show: static(slabinfo)},
		{Name: "softirqs", Show: showSoftirqs},
		{Name: "stat", Show: showKernelStat},
		{Name: "swaps", Show: static("Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n")},
		{Name: "sys", Node: sysNode},
		{Name: "sysvipc", Table: sysvipcTable()},
		{Name: "tty", Table: ttyTable()},
		{Name: "uptime", Show: showUptime},
		{Name: "version", Show: showVersion},
		{Name: "vmallocinfo", Mode: 0o400, Show: static("")},
		{Name: "vmstat", Show: showVMStat},
		{Name: "zoneinfo", Show: showZoneinfo},
	}...)
}

// static makes the Show of a file that always says the same.
func static(s string) func(*FS, vfs.Ctx, *bytes.Buffer) error {
	return func(_ *FS, _ vfs.Ctx, w *bytes.Buffer) error {
		w.WriteString(s)
		return nil
	}
}

func fixed(s string) func(*FS, vfs.Ctx) (string, error) {
	return func(*FS, vfs.Ctx) (string, error) { return s, nil }
}

// readSelf is where /proc/self points: ENOENT for whom the namespace does not know.
func readSelf(fs *FS, c vfs.Ctx) (string, error) {
	t := caller(c)
	if t == nil {
		return "", linux.ENOENT
	}
	n := t.ThreadGroup().PID().In(fs.ns)
	if n == 0 {
		return "", linux.ENOENT
	}
	return strconv.Itoa(int(n)), nil
}

// readThreadSelf is where /proc/thread-self points.
func readThreadSelf(fs *FS, c vfs.Ctx) (string, error) {
	s, err := readSelf(fs, c)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%s/task/%d", s, caller(c).PID().In(fs.ns)), nil
}

// devices is the majors that there are drivers for.
const devices = `Character devices:
  1 mem
  4 tty
  5 /dev/tty
  5 /dev/console
  5 /dev/ptmx
 10 misc
128 ptm
136 pts

Block devices:
  7 loop
`

const slabinfo = "slabinfo - version: 2.1\n" +
	"# name            <active_objs> <num_objs> <objsize> <objperslab> <pagesperslab> : tunables <limit> <batchcount>" +
	" <sharedfactor> : slabdata <active_slabs> <num_slabs> <sharedavail>\n"

// showCgroups has no controllers of the old kind.
func showCgroups(_ *FS, _ vfs.Ctx, w *bytes.Buffer) error {
	w.WriteString("#subsys_name\thierarchy\tnum_cgroups\tenabled\n")
	return nil
}

func showKernelCmdline(fs *FS, _ vfs.Ctx, w *bytes.Buffer) error {
	w.WriteString(fs.conf.Cmdline + "\n")
	return nil
}

func showFilesystems(fs *FS, _ vfs.Ctx, w *bytes.Buffer) error {
	for _, t := range fs.sys.Types() {
		if t.Flags&vfs.NeedsSource == 0 {
			w.WriteString("nodev")
		}
		fmt.Fprintf(w, "\t%s\n", t.Name)
	}
	return nil
}

func showVersion(fs *FS, _ vfs.Ctx, w *bytes.Buffer) error {
	fmt.Fprintf(w, "Linux version %s (garrison@localhost) (go, amd64) %s\n", fs.k.UTSRelease(), fs.k.UTSVersion())
	return nil
}

func ttyTable() []rootEntry {
	return []rootEntry{
		{Name: "driver", Table: []rootEntry{}},
		{Name: "drivers", Show: static("/dev/tty             /dev/tty        5       0 system:/dev/tty\n" +
			"/dev/console         /dev/console    5       1 system:console\n" +
			"/dev/ptmx            /dev/ptmx       5       2 system\n" +
			"pty_slave            /dev/pts      136 0-1048575 pty:slave\n" +
			"pty_master           /dev/ptm      128 0-1048575 pty:master\n")},
		{Name: "ldisc", Table: []rootEntry{}},
		{Name: "ldiscs", Show: static("n_tty       0\n")},
	}
}

func pressureTable() []rootEntry {
	const none = "some avg10=0.00 avg60=0.00 avg300=0.00 total=0\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n"
	return []rootEntry{
		{Name: "cpu", Mode: 0o444, Show: static(none)},
		{Name: "io", Mode: 0o444, Show: static(none)},
		{Name: "memory", Mode: 0o444, Show: static(none)},
	}
}
