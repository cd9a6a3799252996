package boot

import (
	"fmt"

	"garrison/fs/goferfs"
	"garrison/fs/overlay"
	"garrison/fs/tmpfs"
	"garrison/runsc/control"
	"garrison/sentry/vfs"
)

// below is the filesystem of m whose files are those of lower, of type t, taken over: as
// they are, or below an overlay that takes the writes.
func (ct *container) below(c vfs.Ctx, m *control.Mount, t *vfs.Type, lower vfs.Inode) (*vfs.Filesystem, error) {
	if m.Overlay == "" {
		return ct.system.NewFilesystemOf(t, lower), nil
	}
	upper, err := ct.upperRoot(c, m)
	if err != nil {
		drop(lower)
		return nil, fmt.Errorf("overlay: %w", err)
	}
	root, err := overlay.New(c, overlay.Config{
		Upper: upper, Lower: []vfs.Inode{lower}, Redirect: m.Overlay == "memory",
	})
	if err != nil {
		drop(upper)
		drop(lower)
		return nil, fmt.Errorf("overlay: %w", err)
	}
	return ct.system.NewFilesystemOf(overlay.Type(), root), nil
}

// goferRoot is the root of the gofer's mount number.
func (ct *container) goferRoot(c vfs.Ctx, number int) (vfs.Inode, error) {
	root, err := goferfs.New(c, ct.gofer, uint32(number), ct.system.Settle, logf)
	if err != nil {
		return nil, fmt.Errorf("gofer's mount %d: %w", number, err)
	}
	return root, nil
}

// upperRoot is where the writes to m go.
func (ct *container) upperRoot(c vfs.Ctx, m *control.Mount) (vfs.Inode, error) {
	if m.Overlay == "gofer" {
		return ct.goferRoot(c, m.Upper)
	}
	return tmpfs.New(c, ct.tmpfs, vfs.ParseOptions("mode=755"))
}

// drop gives an inode back that no filesystem has been made of.
func drop(i vfs.Inode) {
	if counted, ok := i.(vfs.Counted); ok {
		counted.Drop()
	}
}
