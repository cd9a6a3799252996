package syscalls

import (
	"garrison/sentry/auth"
	"garrison/sentry/kernel"
	"garrison/sentry/linux"
	"garrison/sentry/usermem"
	"garrison/sentry/vfs"
)

// nameToHandleAt implements name_to_handle_at(2): no filesystem here can find a file
// again by a handle, which is EOPNOTSUPP once the file is found.
func nameToHandleAt(t *kernel.Task, dirfd kernel.FD, name pathname, _, _ address, flags uint32) (int, error) {
	const known = linux.AT_SYMLINK_FOLLOW | linux.AT_EMPTY_PATH | linux.AT_HANDLE_FID | linux.AT_HANDLE_MNT_ID_UNIQ
	if flags&^uint32(known) != 0 {
		return 0, linux.EINVAL
	}
	how := vfs.NoFollow
	if flags&linux.AT_SYMLINK_FOLLOW != 0 {
		how = 0
	}
	if flags&linux.AT_EMPTY_PATH != 0 {
		how |= vfs.EmptyOK
	}
	return withPath(t, dirfd, name, how, func(vfs.Path) error { return linux.EOPNOTSUPP })
}

// fileHandle is the head of struct file_handle.
type fileHandle struct {
	Bytes uint32
	Type  int32
}

// maxHandle is MAX_HANDLE_SZ.
const maxHandle = 128

// openByHandleAt implements open_by_handle_at(2), for which there are no handles:
// each that can be one is stale.
func openByHandleAt(t *kernel.Task, mount kernel.FD, h usermem.Ptr[fileHandle], _ linux.OpenFlags) (kernel.FD, error) {
	if !t.Creds().HasCap(auth.CapDACReadSearch) {
		return 0, linux.EPERM
	}
	if mount != linux.AT_FDCWD {
		d, err := t.FDs().GetPath(mount)
		if err != nil {
			return 0, err
		}
		d.Release(t)
	}
	head, err := h.Load(t)
	if err != nil {
		return 0, err
	}
	if head.Bytes == 0 || head.Bytes > maxHandle {
		return 0, linux.EINVAL
	}
	return 0, linux.ESTALE
}
