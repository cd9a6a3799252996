// Package pseudo makes filesystems whose files are answers: proc, sys and their
// like. A directory is a table of entries, each a name and a few functions about
// a subject (a task, a network, the kernel); adding a file is one function and
// one line of a table. Directories whose names come and go (pids, descriptors)
// are a Dynamic beside the table.
package pseudo
