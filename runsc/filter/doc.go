// Package filter is the host system calls that a sentry and a gofer may make:
// one table per feature, compiled to one seccomp(2) filter that is installed as
// the last act of starting. A call that no table lists ends the process.
package filter
