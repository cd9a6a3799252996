package spec

import (
	"slices"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// A Mount is a mount entry with its options told apart.
type Mount struct {
	Destination string
	Type        string
	Source      string
	Flags       uint64 // MS_RDONLY, MS_NOSUID…, as mount(2) takes them
	Data        string // what is left for the filesystem: "mode=755,size=64k"
	Bind        bool   // the source is a host path
	Recursive   bool   // with what is mounted below it
	Shared      bool   // the host may change it behind the sandbox's back
}

type option struct {
	set   uint64
	clear uint64
}

// options are the flags of mount(8) that mount(2) knows.
var options = map[string]option{
	"async": {clear: unix.MS_SYNCHRONOUS}, "sync": {set: unix.MS_SYNCHRONOUS},
	"atime": {clear: unix.MS_NOATIME}, "noatime": {set: unix.MS_NOATIME},
	"diratime": {clear: unix.MS_NODIRATIME}, "nodiratime": {set: unix.MS_NODIRATIME},
	"relatime": {set: unix.MS_RELATIME}, "norelatime": {clear: unix.MS_RELATIME},
	"strictatime": {set: unix.MS_STRICTATIME}, "nostrictatime": {clear: unix.MS_STRICTATIME},
	"lazytime": {set: unix.MS_LAZYTIME}, "nolazytime": {clear: unix.MS_LAZYTIME},
	"dev": {clear: unix.MS_NODEV}, "nodev": {set: unix.MS_NODEV},
	"exec": {clear: unix.MS_NOEXEC}, "noexec": {set: unix.MS_NOEXEC},
	"suid": {clear: unix.MS_NOSUID}, "nosuid": {set: unix.MS_NOSUID},
	"ro": {set: unix.MS_RDONLY}, "rw": {clear: unix.MS_RDONLY},
	"rro":         {set: unix.MS_RDONLY},
	"nosymfollow": {set: unix.MS_NOSYMFOLLOW}, "symfollow": {clear: unix.MS_NOSYMFOLLOW},
	"dirsync": {set: unix.MS_DIRSYNC}, "mand": {}, "nomand": {}, "iversion": {}, "noiversion": {},
	"silent": {}, "loud": {}, "defaults": {}, "remount": {}, "acl": {}, "noacl": {},
	"private": {}, "rprivate": {}, "slave": {}, "unbindable": {}, "runbindable": {},
	"nocopy": {}, "tmpcopyup": {}, "copy": {}, "z": {}, "Z": {},
}

// ParseMount tells the options of m apart.
func ParseMount(m specs.Mount) Mount {
	out := Mount{Destination: m.Destination, Type: m.Type, Source: m.Source}
	var data []string
	for _, o := range m.Options {
		switch o {
		case "bind":
			out.Bind = true
		case "rbind":
			out.Bind, out.Recursive = true, true
		case "shared", "rshared", "rslave":
		default:
			if f, ok := options[o]; ok {
				out.Flags = out.Flags&^f.clear | f.set
			} else if o != "" {
				data = append(data, o)
			}
		}
	}
	if m.Type == "bind" {
		out.Bind = true
	}
	if out.Bind {
		// A volume is the host's as much as the sandbox's; only the root is its own.
		out.Type, out.Shared = "bind", true
	}
	out.Data = strings.Join(data, ",")
	return out
}

// ParseSize reads a size as tmpfs takes it: a number of bytes with an optional
// suffix k, m or g.
func ParseSize(s string) (uint64, bool) {
	shift := 0
	if s != "" {
		switch s[len(s)-1] {
		case 'k', 'K':
			shift = 10
		case 'm', 'M':
			shift = 20
		case 'g', 'G':
			shift = 30
		}
		if shift != 0 {
			s = s[:len(s)-1]
		}
	}
	n, err := strconv.ParseUint(s, 0, 64)
	if err != nil || n > ^uint64(0)>>shift {
		return 0, false
	}
	return n << shift, true
}

// MountOptions are the options that ParseMount tells apart, sorted.
func MountOptions() []string {
	names := []string{"bind", "rbind", "shared", "rshared", "rslave"}
	for name := range options {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
