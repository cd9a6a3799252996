package spec

import "strings"

// rlimits are the names of getrlimit(2)'s resources in the order of their
// numbers on amd64 and arm64.
var rlimits = [...]string{
	"CPU", "FSIZE", "DATA", "STACK", "CORE", "RSS", "NPROC", "NOFILE",
	"MEMLOCK", "AS", "LOCKS", "SIGPENDING", "MSGQUEUE", "NICE", "RTPRIO", "RTTIME",
}

// RlimitNumber is the resource number of an OCI rlimit type such as
// "RLIMIT_NOFILE" (getrlimit(2)).
func RlimitNumber(name string) (int, bool) {
	short, ok := strings.CutPrefix(name, "RLIMIT_")
	if !ok {
		return 0, false
	}
	for i, n := range rlimits {
		if n == short {
			return i, true
		}
	}
	return 0, false
}
