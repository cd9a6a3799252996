// Package script makes tiny static ELF programs that do a list of system calls
// and nothing else. They stand where Go can't: a Go process has threads before
// main, and Linux lets only a single-threaded process unshare its user
// namespace, while a forked Go process may not allocate. So the logic is
// written in Go, as steps of a Script, and run by an interpreter of a few
// hundred bytes of position-independent assembly that is copied into the
// program beside its steps. Launchers, holders and stub processes are scripts.
package script
