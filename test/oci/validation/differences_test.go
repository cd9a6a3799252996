package validation

// A difference is points that pass under runc and do not here, as a regular
// expression of what they say, and why.
type difference struct {
	points, why string
}

// differences are by program. Five of the programs pass as a whole under runc: those
// about memory do not.
var differences = map[string]difference{
	"delete_resources":              pidsLimit,
	"linux_cgroups_pids":            pidsLimit,
	"linux_cgroups_relative_pids":   pidsLimit,
	"linux_cgroups_memory":          memoryLimit,
	"linux_cgroups_relative_memory": memoryLimit,
	"linux_ns_path": {
		"set (ipc|mnt|pid|uts) namespace by path",
		"a namespace of the host's kernel is none of the sentry's: create refuses, and says so",
	},
	"linux_ns_itype": {
		"inherit namespace [a-z]+ without type",
		"who names no namespace of pids, of the network or of ipc wants the host's, which guests don't get: create refuses, and says so",
	},
}

var (
	pidsLimit = difference{
		"pids limit is set correctly",
		"the host's cgroup counts the sentry's threads too, and has room for them: the guest's own limit is the sentry's to keep",
	}
	memoryLimit = difference{
		"memory (limit|reservation|swap) is set correctly",
		"the host's cgroup holds the sentry too, and has room for it: the guest meets its own limit first",
	}
)

// racy are programs that no runtime can pass or fail for sure, and why: they are
// not run.
var racy = map[string]string{
	"poststart": "it asks which came first of what the container's process and the hook wrote, which run side by side",
}
