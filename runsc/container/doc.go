// Package container is the record of containers on disk: one directory per
// container below a root, holding a locked, atomically replaced state.json. The
// record names processes by pid and start time, so that a recycled pid is never
// taken for a container's; what a process's death says about the container is
// derived when the record is read. Any process may crash between two writes
// and the record still tells what there is to clean up.
package container
