// Package cgroup puts a sandbox into host control groups with the limits of its
// OCI configuration, when that asks for any. The limits are the host's second
// line: the sentry enforces them on the guest first, so the memory limit here
// leaves room for the sentry itself.
package cgroup
