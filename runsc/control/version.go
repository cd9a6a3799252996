package control

// Version is the version of Garrison. Programs of different versions do not
// understand each other.
const Version = "0.1.0"

// DefaultPlatform is the platform that runs a guest when none is chosen.
const DefaultPlatform = AutoPlatform

// AutoPlatform is the first of the others that this host can run.
const AutoPlatform = "auto"

// Platforms are the names that --platform takes, with what there is to say of each.
func Platforms() [][2]string {
	return [][2]string{
		{AutoPlatform, "systrap where the host can run it, else ptrace"},
		{"systrap", "seccomp traps and pages shared with the guest's stub; needs Linux 5.14"},
		{"ptrace", "ptrace(2) with PTRACE_SYSEMU; works on every host"},
	}
}
