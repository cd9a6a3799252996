package spec

import "strings"

// capabilities are the names of capabilities(7) without CAP_, in the order of
// their numbers.
var capabilities = [...]string{
	"CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID",
	"SETPCAP", "LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW", "IPC_LOCK", "IPC_OWNER",
	"SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT", "SYS_PTRACE", "SYS_PACCT", "SYS_ADMIN", "SYS_BOOT", "SYS_NICE",
	"SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD", "LEASE", "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP",
	"MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG", "WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ", "PERFMON", "BPF", "CHECKPOINT_RESTORE",
}

// LastCapability is the highest capability number known.
const LastCapability = len(capabilities) - 1

// Capability is the number of a capability named as in capabilities(7), with
// or without CAP_, in any case.
func Capability(name string) (int, bool) {
	short := strings.TrimPrefix(strings.ToUpper(name), "CAP_")
	for i, n := range capabilities {
		if n == short {
			return i, true
		}
	}
	return 0, false
}

// CapabilityName is the name of capability n, with CAP_.
func CapabilityName(n int) string { return "CAP_" + capabilities[n] }

// CapabilitySet is the set of names as a bit mask; names of capabilities that
// do not exist are returned in unknown, as a newer engine may list some.
func CapabilitySet(names []string) (set uint64, unknown []string) {
	for _, name := range names {
		if n, ok := Capability(name); ok {
			set |= 1 << n
		} else {
			unknown = append(unknown, name)
		}
	}
	return set, unknown
}
