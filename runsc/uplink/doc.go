// Package uplink gives a network namespace a way out by that of the caller, the host's: a
// pair of links, addresses of a network of its own, and translation to the host's
// addresses. Nothing of it outlives the namespace and the process that asked for it.
package uplink
