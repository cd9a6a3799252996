// Package shim is containerd's shim for runsc, by the "runtime v2" protocol: the
// daemon calls the task service (containerd.task.v2.Task, over ttrpc), and runsc's
// command line does the work. containerd 1.6 and 1.7 speak it, and 2.x still does.
//
// A shim outlives the daemon that started it and serves the containers of one pod.
// Whether they share a sandbox is runsc's business: each is a container with an id,
// streams and an end of its own. The shim is the parent of what runsc leaves running,
// as the nearest subreaper: exit statuses come from wait4(2).
package shim
