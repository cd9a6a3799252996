// Package linux is the Linux user ABI for amd64: numbers, flags and structure
// layouts, one file per topic. Structures here are flat: they lie in memory as
// they do in the guest.
package linux
