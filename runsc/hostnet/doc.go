// Package hostnet deals with a network namespace of the host that a sandbox is to have: runsc
// takes it over, so that nobody else answers there, and the sentry reads what it has, which
// may change at any time, by descriptors that it was given.
package hostnet
