// Package sandbox starts, reaches and ends the processes of a container: the
// holder, whose pid callers see and wait for; the gofer, which alone touches
// the bundle's files; and the sentry, the kernel, which starts with nothing but
// the descriptors it is sent. All that needs the host's root is done here, and
// what is done is undone when a later step fails.
package sandbox
