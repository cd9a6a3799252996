package dev

import (
	"garrison/fs/tty"
	"garrison/sentry/kernel"
	"garrison/sentry/linux"
	"garrison/sentry/vfs"
)

// controlling is /dev/tty: the caller's controlling terminal. ENXIO if it has none.
type controlling struct{}

// Open implements vfs.Device.
func (controlling) Open(c vfs.Ctx, _ vfs.Path, flags linux.OpenFlags) (vfs.File, error) {
	t, ok := kernel.Caller(c)
	if !ok {
		return nil, linux.ENXIO
	}
	term, ok := t.ThreadGroup().Terminal().(*tty.Terminal)
	if !ok {
		return nil, linux.ENXIO
	}
	return term.Open(c, flags|linux.O_NOCTTY)
}

// consoleDevice is /dev/console. ENODEV without one.
type consoleDevice struct{ find func(vfs.Ctx) *tty.Terminal }

// Open implements vfs.Device. It never becomes a controlling terminal by being
// opened.
func (d consoleDevice) Open(c vfs.Ctx, _ vfs.Path, flags linux.OpenFlags) (vfs.File, error) {
	if d.find == nil {
		return nil, linux.ENODEV
	}
	t := d.find(c)
	if t == nil {
		return nil, linux.ENODEV
	}
	return t.Open(c, flags|linux.O_NOCTTY)
}
