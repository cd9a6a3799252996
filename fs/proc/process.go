package proc

import (
	"sync"

	"garrison/fs/pseudo"
	"garrison/sentry/auth"
	"garrison/sentry/kernel"
	"garrison/sentry/linux"
	"garrison/sentry/vfs"
)

// A process is what /proc/PID or /proc/PID/task/TID is about.
type process struct {
	fs *FS
	g  *kernel.ThreadGroup
	t  *kernel.Task // nil: the process as a whole
	n  int32        // the name of the directory: a pid or tid
}

// task is the thread, or the process's leader, which execve(2) may change.
func (p *process) task() *kernel.Task {
	if p.t != nil {
		return p.t
	}
	return p.g.Leader()
}

// alive reports whether p's number still means p.
func (p *process) alive() bool {
	if p.t != nil {
		return p.fs.k.FindTask(p.fs.ns, p.n) == p.t
	}
	return p.fs.k.FindGroup(p.fs.ns, p.n) == p.g
}

// owner is p's effective ids, or root's for a process that is not dumpable: its
// files are for nobody else then, but for directories that are open to all.
func (p *process) owner(mode linux.FileMode) (uid, gid uint32) {
	if p.g.Dumpable() != 1 && mode != linux.S_IFDIR|0o555 {
		// The root of where it executed its program, if there is one.
		ns := p.g.MemoryNS()
		u, ok := ns.MakeUID(0)
		if !ok {
			u = 0
		}
		g, ok := ns.MakeGID(0)
		if !ok {
			g = 0
		}
		return u, g
	}
	cr := p.task().Creds()
	return cr.EUID, cr.EGID
}

// subject is what pseudo has to know of a process.
var subject = &pseudo.Subject[*process]{
	Owner: (*process).owner,
	Alive: (*process).alive,
}

type entry = pseudo.Entry[*process]

// processTable is /proc/PID. The tables are made once: an entry is told whom it is
// asked about, and some 50 of them for each process would be most of what it costs.
var processTable = sync.OnceValue(func() []entry {
	return append(commonTable(),
		entry{Name: "task", Node: tasksNode},
		entry{Name: "autogroup", Mode: 0o644, Show: showAutogroup, Store: ignoreWrite},
		entry{Name: "coredump_filter", Mode: 0o644, Show: showCoreFilter, Store: storeCoreFilter},
		entry{Name: "mountstats", Mode: 0o400, Show: showMountstats},
		entry{Name: "timens_offsets", Mode: 0o644, Show: showTimeOffsets, Store: storeTimeOffsets},
		entry{Name: "timers", Show: showTimers, Guard: traced},
		entry{Name: "timerslack_ns", Mode: 0o666, Show: showTimerslack, Store: storeTimerslack},
		entry{Name: "map_files", Mode: 0o500, Node: mapFilesNode},
	)
})

// threadTable is /proc/PID/task/TID.
var threadTable = sync.OnceValue(func() []entry {
	return append(commonTable(), entry{Name: "children", Show: showChildren})
})

// commonTable is what processes and threads both have, by name.
func commonTable() []entry {
	return []entry{
		{Name: "arch_status", Show: text("")},
		{Name: "attr", Table: attrTable()},
		{Name: "auxv", Mode: 0o400, Show: showAuxv, Guard: traced},
		{Name: "cgroup", Show: showCgroup},
		{Name: "clear_refs", Mode: 0o200, Store: clearRefs},
		{Name: "cmdline", Show: showCmdline},
		{Name: "comm", Mode: 0o644, Show: showComm, Store: storeComm},
		{Name: "cpuset", Show: text("/\n")},
		{Name: "cwd", Link: readCwd, Follow: followCwd, Guard: traced},
		{Name: "environ", Mode: 0o400, Show: showEnviron, Guard: traced},
		{Name: "exe", Link: readExe, Follow: followExe, Guard: traced},
		{Name: "fd", Mode: 0o500, Node: fdsNode},
		{Name: "fdinfo", Mode: 0o555, Node: fdinfosNode},
		{Name: "gid_map", Mode: 0o644, Open: openIDMap(auth.GIDMap)},
		{Name: "io", Mode: 0o400, Show: showIO, Guard: traced},
		{Name: "limits", Show: showLimits},
		{Name: "loginuid", Mode: 0o644, Show: text("4294967295"), Store: ignoreWrite},
		{Name: "maps", Show: showMaps, Guard: traced},
		{Name: "mem", Mode: 0o600, Open: openMem},
		{Name: "mountinfo", Open: openMounts(writeMountinfo)},
		{Name: "mounts", Open: openMounts(writeMounts)},
		{Name: "net", Node: netNode},
		{Name: "ns", Mode: 0o511, Table: nsTable()},
		{Name: "numa_maps", Show: showNumaMaps, Guard: traced},
		{Name: "oom_adj", Mode: 0o644, Show: showOOMAdj, Store: storeOOMAdj},
		{Name: "oom_score", Show: showOOMScore},
		{Name: "oom_score_adj", Mode: 0o644, Show: showOOMScoreAdj, Store: storeOOMScoreAdj},
		{Name: "pagemap", Mode: 0o400, Open: openPagemap},
		{Name: "personality", Mode: 0o400, Show: stopped(showPersonality)},
		{Name: "projid_map", Mode: 0o644, Open: openIDMap(auth.ProjectMap)},
		{Name: "root", Link: readRoot, Follow: followRoot, Guard: traced},
		{Name: "sched", Mode: 0o644, Show: showSched, Store: ignoreWrite},
		{Name: "schedstat", Show: showSchedstat},
		{Name: "sessionid", Show: text("4294967295")},
		{Name: "setgroups", Mode: 0o644, Open: openSetgroups},
		{Name: "smaps", Show: showSmaps, Guard: traced},
		{Name: "smaps_rollup", Show: showSmapsRollup, Guard: traced},
		{Name: "stack", Mode: 0o400, Show: showStack},
		{Name: "stat", Show: showStat},
		{Name: "statm", Show: showStatm},
		{Name: "status", Show: showStatus},
		{Name: "syscall", Mode: 0o400, Show: stopped(showSyscall)},
		{Name: "uid_map", Mode: 0o644, Open: openIDMap(auth.UIDMap)},
		{Name: "wchan", Show: text("0")},
	}
}

// attrTable is a kernel's without security modules: there are attributes, but
// nobody who has any.
func attrTable() []entry {
	var out []entry
	for _, name := range []string{"current", "exec", "fscreate", "keycreate", "prev", "sockcreate"} {
		e := entry{Name: name, Mode: 0o666, Show: noAttr, Store: noAttrStore}
		if name == "prev" {
			e.Mode, e.Store = 0o444, nil
		}
		out = append(out, e)
	}
	return out
}

// newProcessDir makes /proc/PID, newThreadDir /proc/PID/task/TID.
func newProcessDir(p *process, at pseudo.Place) vfs.Inode {
	return pseudo.NewDir(at, p, pseudo.DirSpec[*process]{Subject: subject, Table: processTable(), Allow: allowed})
}

func newThreadDir(p *process, at pseudo.Place) vfs.Inode {
	return pseudo.NewDir(at, p, pseudo.DirSpec[*process]{Subject: subject, Table: threadTable(), Allow: allowed})
}

// allowed applies hidepid: EPERM to those who may not look, ENOENT if they are not
// even to know.
func allowed(p *process, c vfs.Ctx, a vfs.Attr, want vfs.Access) error {
	if !p.fs.sees(c, p.g, hideContent) {
		return errHidden(p.fs.hide)
	}
	return vfs.Allowed(c, &a, want)
}
