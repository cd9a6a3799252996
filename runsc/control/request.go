package control

import specs "github.com/opencontainers/runtime-spec/specs-go"

// A Request asks a running sentry for one thing. Exactly one field is set. The
// descriptors that it names ride on the message, numbered from 0.
type Request struct {
	Start  *Start  `json:"start,omitempty"`
	Exec   *Exec   `json:"exec,omitempty"`
	Signal *Signal `json:"signal,omitempty"`
	PS     *PS     `json:"ps,omitempty"`
	Pause  *Pause  `json:"pause,omitempty"`
	Resume *Resume `json:"resume,omitempty"`
	Debug  *Debug  `json:"debug,omitempty"`
}

// A Start lets the container's init run. Hooks are run in the container first.
type Start struct {
	ID    string       `json:"id"`
	Hooks []specs.Hook `json:"hooks,omitempty"`
	State *specs.State `json:"state,omitempty"` // for the hooks
}

// An Exec starts another process in the container.
type Exec struct {
	ID      string         `json:"id"`
	Process *specs.Process `json:"process"`
	Stdio   Stdio          `json:"stdio"`
}

// A Signal sends a signal to a process of the container.
type Signal struct {
	ID     string `json:"id"`
	Signal int    `json:"signal"`
	// PID is a process as the container numbers them; 0 is init.
	PID int `json:"pid,omitempty"`
	// All sends it to every process instead.
	All bool `json:"all,omitempty"`
}

// A PS asks for the container's processes.
type PS struct {
	ID string `json:"id"`
}

// A Pause stops every process of the container until Resume.
type Pause struct {
	ID string `json:"id"`
}

// A Resume undoes Pause.
type Resume struct {
	ID string `json:"id"`
}

// A Debug asks for a text about the sentry's own works.
type Debug struct {
	What string `json:"what"`
}

// What Debug can ask for.
const (
	DebugStacks   = "stacks"         // of the sentry's goroutines
	DebugPlatform = "platform-stats" // how often the platform did what
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
}
