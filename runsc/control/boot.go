package control

import (
	"net/netip"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// Descriptors that a sentry or gofer finds when its main function begins.
const (
	// BootFD is a stream unix socket, one end of a Conn: the boot document
	// comes out of it, and the result goes in.
	BootFD = 3
	// DescriptorsFD is, in a gofer, its own directory /proc/self/fd.
	DescriptorsFD = 4
)

// A Boot is the first message to a sentry, and later ones of more containers in the
// same sandbox (Request.Join): all there is to know about a container. Descriptors ride on the message: they are numbered
// from 0 in its order; -1 is none.
type Boot struct {
	ID string `json:"id"`
	// Spec is the container's configuration, defaults filled in. Paths in it
	// are the container's; the host's mean nothing to a sentry.
	Spec *specs.Spec `json:"spec"`
	// Mounts are the filesystems to mount, in order; the first is the root.
	Mounts []Mount `json:"mounts"`
	// Options are what the command line chose. Those that are the sandbox's count in
	// the first document.
	Options Options `json:"options"`
	// Share says whose namespaces the container has.
	Share Share `json:"share"`
	// Limits are those that the container starts with.
	Limits Limits `json:"limits"`

	// Control is a listening unix socket, where requests are accepted; the first
	// container's only.
	Control int `json:"control"`
	// PageFile is the file that holds guest memory, PageFileRO the same opened
	// for reading only. PageMount is the mount that it is on, kept for runsc to
	// change its size: see PageMount.
	PageFile   int `json:"pageFile"`
	PageFileRO int `json:"pageFileRO"`
	PageMount  int `json:"pageMount"`
	// Gofer is the first socket to the gofer.
	Gofer int `json:"gofer"`
	// Network is the container's way out; nil if there is none, or if Share tells.
	Network *Network `json:"network,omitempty"`
	// HostNetwork is what sockets of the host take beside the namespace that the sentry is
	// in, if Options.Network says so; nil if not, or if Share tells.
	HostNetwork *HostNetwork `json:"hostNetwork,omitempty"`
	// Init is how the container's first process meets the world.
	Init Stdio `json:"init"`
}

// A Network is descriptors, numbered as in Boot, that were made in a network namespace of
// the host: hostnet.Taken says what for.
type Network struct {
	Query  int `json:"query"`
	Events int `json:"events"`
	Claim  int `json:"claim"`
	Names  int `json:"names"` // or -1
	// NamesAt is the address at which programs of the container ask Names.
	NamesAt netip.AddrPort `json:"namesAt"`
	Dials   []int          `json:"dials,omitempty"`
	Answers Ports          `json:"answers"`
	Frames  []int          `json:"frames"`
	// Parameters are values of /proc/sys/net, by names below it.
	Parameters map[string]string `json:"parameters,omitempty"`
}

// Ports is a range of ports, ends included; zero for none.
type Ports struct {
	First uint16 `json:"first"`
	Last  uint16 `json:"last"`
}

// Where a container's network comes from.
const (
	NetworkSandbox = "sandbox" // a stack of the sentry's, with links of the host's namespace
	NetworkHost    = "host"    // sockets of the host
	NetworkNone    = "none"    // a loopback of the sentry's
)

// A HostNetwork is descriptors, numbered as in Boot, that were made in the network namespace
// whose sockets the guest uses: hostnet.View says what for.
type HostNetwork struct {
	Query  int            `json:"query"`
	Tables map[string]int `json:"tables"`
	// Binder is a socket to the process that binds low ports, or -1.
	Binder int `json:"binder"`
}

// A Share names the containers of the same sandbox whose namespaces a container has;
// "" for one of its own.
type Share struct {
	PID string `json:"pid,omitempty"`
	IPC string `json:"ipc,omitempty"`
	UTS string `json:"uts,omitempty"`
	Net string `json:"net,omitempty"`
}

// Options are the choices of the command line that a sentry heeds.
type Options struct {
	Platform string `json:"platform"`
	Network  string `json:"network"` // one of Network*
	Strace   bool   `json:"strace,omitempty"`
	Debug    bool   `json:"debug,omitempty"`
	// Release is what uname(2) says of the kernel's release; empty is the default.
	Release string `json:"release,omitempty"`
	// Mortal makes init die of signals that it has no handler for, as any other
	// process, also of those that the container sends.
	Mortal bool `json:"mortal,omitempty"`
	// Break replaces system calls by their names, to see whether a test notices:
	// "ENOSYS", or "nothing" to return 0 and do nothing.
	Break map[string]string `json:"break,omitempty"`
	// CPUs is how many processors the container may keep busy, 0 for all.
	CPUs int `json:"cpus,omitempty"`
}

// A Mount is one filesystem of the container.
type Mount struct {
	Destination string `json:"destination"`
	Type        string `json:"type"` // "gofer" when the files are the host's
	Source      string `json:"source"`
	Flags       uint64 `json:"flags"` // MS_*
	Data        string `json:"data"`
	// Gofer is the number of the mount in the gofer's list, for Type "gofer".
	Gofer int `json:"gofer"`
	// File says that the mount's root is not a directory.
	File bool `json:"file,omitempty"`
	// Bind says that Source is what the configuration mounts from the host.
	Bind bool `json:"bind,omitempty"`
	// Shared says that the host may change the files behind the sandbox's back.
	Shared bool `json:"shared,omitempty"`
	// Image is the descriptor of the file in which the files are, for the root of Type
	// "erofs". Descriptors are numbered as in Boot.
	Image int `json:"image,omitempty"`
	// Overlay is what takes the writes instead of the files themselves: "",
	// "memory", or "gofer" when the host directory with number Upper does.
	Overlay string `json:"overlay,omitempty"`
	Upper   int    `json:"upper,omitempty"`
}

// A Stdio is the outside of one process group of the container: init, or what
// exec starts. Descriptors are numbered as in Boot.
type Stdio struct {
	// Files are the host files behind descriptors 0, 1, 2… of the process, or,
	// if it has a terminal, behind 3, 4… A number that comes twice is one open
	// file.
	Files []int `json:"files"`
	// Terminal is the slave side of a host pseudo-terminal, in raw mode, or -1.
	Terminal int `json:"terminal"`
	// Holder is a socket to the process that stands for this one outside: how
	// it ended is written there (platform/script), and signals that somebody
	// sent to it come out.
	Holder int `json:"holder"`
	// HolderPID is a pidfd of the holder: when somebody kills it, its guest
	// process must die too.
	HolderPID int `json:"holderPID"`
}

// A Problem is why something failed: an error that crosses to another process.
type Problem struct {
	Message string `json:"message"`
	// Code is the exit status that a shell would give: 127 when an executable
	// was not found, 126 when it can't be executed, 0 for all else.
	Code int `json:"code,omitempty"`
}

// Error implements error.
func (p *Problem) Error() string { return p.Message }

// A Booted is a sentry's answer to a Boot: the container is ready to start,
// or the reason why not. The sentry then waits for a Commit; if the
// connection ends without one, it ends.
type Booted struct {
	Problem *Problem `json:"problem,omitempty"`
	// Warnings are what was left out of what the configuration asks for.
	Warnings []string `json:"warnings,omitempty"`
	// Steps are how long the parts of starting took, in the order they were done.
	Steps []Step `json:"steps,omitempty"`
}

// A Step is a part of starting a sandbox and the time it took.
type Step struct {
	Name  string `json:"name"`
	Nanos int64  `json:"nanos"`
}

// A Commit tells a sentry that its container is on record, and that it may
// outlive the runsc that started it, unless Leash: then the end of the connection
// is the end of the container.
type Commit struct {
	Leash bool `json:"leash,omitempty"`
}

// A GoferBoot is the first message to a gofer.
type GoferBoot struct {
	// Socket is the first socket to the sentry.
	Socket int `json:"socket"`
	// Mounts are the host files it serves.
	Mounts []GoferMount `json:"mounts"`
	Debug  bool         `json:"debug,omitempty"`
}

// A GoferMount is a tree of host files or a single one.
type GoferMount struct {
	// Root is an O_PATH descriptor of a detached mount of its own, on which the
	// host's kernel enforces read-only and nodev.
	Root     int  `json:"root"`
	File     bool `json:"file,omitempty"`
	ReadOnly bool `json:"readOnly,omitempty"`
	Shared   bool `json:"shared,omitempty"`
	// NoXDev: what is mounted below Root is not there.
	NoXDev bool `json:"noXDev,omitempty"`
	// Path is where it is on the host, for messages.
	Path string `json:"path"`
}
