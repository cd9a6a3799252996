package dev

import (
	"garrison/fs/tty"
	"garrison/sentry/kernel"
	"garrison/sentry/linux"
	"garrison/sentry/vfs"
)

// Majors of the devices here, Documentation/admin-guide/devices.txt.
const memMajor = 1

// Minors of memMajor.
const (
	nullMinor    = 3
	zeroMinor    = 5
	fullMinor    = 7
	randomMinor  = 8
	urandomMinor = 9
	kmsgMinor    = 11
)

// Minors of linux.TTYAUX_MAJOR.
const (
	ttyMinor     = 0
	consoleMinor = 1
)

// Register makes the devices known to s. console finds the terminal that is the
// caller's /dev/console; it may return nil, and may itself be nil.
func Register(s *vfs.System, k *kernel.Kernel, console func(vfs.Ctx) *tty.Terminal) {
	mem := func(minor uint32, d vfs.Device) { s.RegisterDevice(linux.S_IFCHR, memMajor, minor, d) }
	mem(nullMinor, memory{&null{}})
	mem(zeroMinor, memory{&zero{}})
	mem(fullMinor, memory{&full{}})
	mem(randomMinor, memory{&random{}})
	mem(urandomMinor, memory{&random{}})
	mem(kmsgMinor, kmsg{NewLog(k)})
	s.RegisterDevice(linux.S_IFCHR, linux.TTYAUX_MAJOR, ttyMinor, controlling{})
	s.RegisterDevice(linux.S_IFCHR, linux.TTYAUX_MAJOR, consoleMinor, consoleDevice{console})
}

// memory is a device whose open files have no state: they are all the same one.
type memory struct{ f vfs.File }

// Open implements vfs.Device.
func (m memory) Open(vfs.Ctx, vfs.Path, linux.OpenFlags) (vfs.File, error) { return m.f, nil }
