package control

import specs "github.com/opencontainers/runtime-spec/specs-go"

// A Request asks a running sentry for one thing: exactly one field beside ID is set.
// The descriptors that it names ride on the message, numbered from 0.
type Request struct {
	// ID is the container that it is about.
	ID string `json:"id"`

	Start  *Start  `json:"start,omitempty"`
	Exec   *Exec   `json:"exec,omitempty"`
	Signal *Signal `json:"signal,omitempty"`
	PS     *PS     `json:"ps,omitempty"`
	Pause  *Pause  `json:"pause,omitempty"`
	Resume *Resume `json:"resume,omitempty"`
	Debug  *Debug  `json:"debug,omitempty"`

	Update    *Update    `json:"update,omitempty"`
	PageMount *PageMount `json:"pageMount,omitempty"`
	Stats     *Stats     `json:"stats,omitempty"`
	Watch     *Watch     `json:"watch,omitempty"`

	// Join makes one more container in the sandbox. The answer is a Booted, and then a
	// Commit is due, as after the first boot document.
	Join *Boot `json:"join,omitempty"`
}

// A Start lets the container's init run. Hooks are run in the container first.
type Start struct {
	Hooks []specs.Hook `json:"hooks,omitempty"`
	State *specs.State `json:"state,omitempty"` // for the hooks
}

// An Exec starts another process in the container.
type Exec struct {
	Process *specs.Process `json:"process"`
	Stdio   Stdio          `json:"stdio"`
}

// A Signal sends a signal to a process of the container.
type Signal struct {
	Signal int `json:"signal"`
	// PID is a process as the container numbers them; 0 is init.
	PID int `json:"pid,omitempty"`
	// All sends it to every process instead.
	All bool `json:"all,omitempty"`
}

// A PS asks for the container's processes.
type PS struct {
	// Host: somebody will look at the host processes that the guest's are.
	Host bool `json:"host,omitempty"`
}

// A Pause stops every process of the container until Resume.
type Pause struct{}

// A Resume undoes Pause.
type Resume struct{}

// A Debug asks for a text about the sentry's own works.
type Debug struct {
	What string `json:"what"`
}

// An Update gives the container other limits. The size of the page file's mount is
// the caller's to change, before it lowers Limits.Memory or after it raises it.
type Update struct {
	Limits Limits `json:"limits"`
}

// A PageMount asks for the mount that the page file is on. It rides on the answer;
// what guests have freed has been given back to it.
type PageMount struct{}

// A Stats asks what the container uses.
type Stats struct{}

// A Watch asks to be told what happens to the container: the answer is Events, until
// one that is its end or until the connection is closed.
type Watch struct{}

// What Debug can ask for.
const (
	DebugStacks   = "stacks"         // of the sentry's goroutines
	DebugPlatform = "platform-stats" // how often the platform did what
	DebugGofer    = "gofer-stats"    // what the gofer was asked for, and how often
)

// A Reply answers a Request.
type Reply struct {
	Problem *Problem `json:"problem,omitempty"`
	// PID is the process that Exec started, as the container numbers them.
	PID int `json:"pid,omitempty"`
	// Processes answers PS.
	Processes []ProcessInfo `json:"processes,omitempty"`
	// Text answers Debug.
	Text string `json:"text,omitempty"`
	// Use answers Stats, and Update.
	Use *Use `json:"use,omitempty"`
}

// A Use is what a container uses, as only its kernel knows.
type Use struct {
	UserNanos   int64  `json:"userNanos"` // of processor time
	SystemNanos int64  `json:"systemNanos"`
	Memory      uint64 `json:"memory"` // bytes
	OOMKills    uint64 `json:"oomKills"`
	Tasks       uint64 `json:"tasks"`
}

// An Event is something that has happened to a container. One field is set.
type Event struct {
	// OOM: a process is killed for lack of memory.
	OOM bool `json:"oom,omitempty"`
	// Exit: init has ended, and with it the container.
	Exit *Exit `json:"exit,omitempty"`
}

// An Exit is how a container's init ended.
type Exit struct {
	// Status is its exit status, or 128 and the number of the signal that killed it.
	Status int `json:"status"`
}

// A ProcessInfo is one process of a container, as ps(1) shows it.
type ProcessInfo struct {
	PID     int      `json:"pid"`
	PPID    int      `json:"ppid"`
	UID     uint32   `json:"uid"`
	Threads int      `json:"threads"`
	State   string   `json:"state"` // proc(5)'s letter
	Nanos   int64    `json:"nanos"` // of processor time
	Started int64    `json:"started"`
	TTY     string   `json:"tty,omitempty"`
	Command string   `json:"command"`
	Args    []string `json:"args,omitempty"`
	// Host is the host process, by the sentry's pid namespace; 0: not known.
	Host int `json:"host,omitempty"`
}
