// Package host is files that are descriptors of the host's: the standard input
// and outputs that a container was started with. A task never waits in a host
// call for one: readiness comes from one epoll descriptor for all of them, and
// each transfer asks the host not to wait. Nothing is read before the guest asks
// for it: what it leaves is there for the next program that has the descriptor.
package host
