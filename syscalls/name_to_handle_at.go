package syscalls

import (
	"garrison/sentry/kernel"
	"garrison/sentry/linux"
	"garrison/sentry/usermem"
	"garrison/sentry/vfs"
)

// nameToHandleAt implements name_to_handle_at(2): no filesystem here can find a file
// again by a handle, which is EOPNOTSUPP once the file is found. A handle that only
// identifies it (AT_HANDLE_FID) is its inode number, as for such filesystems on Linux.
func nameToHandleAt(t *kernel.Task, dirfd kernel.FD, name pathname, h usermem.Ptr[linux.FileHandle], id address, flags uint32) (int, error) {
	const known = linux.AT_SYMLINK_FOLLOW | linux.AT_EMPTY_PATH | linux.AT_HANDLE_FID | linux.AT_HANDLE_MNT_ID_UNIQ |
		linux.AT_HANDLE_CONNECTABLE
	const both = linux.AT_HANDLE_FID | linux.AT_HANDLE_CONNECTABLE
	if flags&^uint32(known) != 0 || flags&both == both {
		return 0, linux.EINVAL
	}
	how := vfs.NoFollow
	if flags&linux.AT_SYMLINK_FOLLOW != 0 {
		how = 0
	}
	if flags&linux.AT_EMPTY_PATH != 0 {
		how |= vfs.EmptyOK
	}
	return withPath(t, dirfd, name, how, func(p vfs.Path) error {
		if flags&linux.AT_HANDLE_FID == 0 {
			return linux.EOPNOTSUPP
		}
		return storeFID(t, p, h, id, flags&linux.AT_HANDLE_MNT_ID_UNIQ != 0)
	})
}

// storeFID stores p's fid and its mount's number, an int or one that is unique: EOVERFLOW,
// with the size that it takes, if it has not room.
func storeFID(t *kernel.Task, p vfs.Path, h usermem.Ptr[linux.FileHandle], id address, unique bool) error {
	head, err := h.Load(t)
	switch {
	case err != nil:
		return err
	case head.Bytes > maxHandle:
		return linux.EINVAL
	}
	a, err := p.Attr(t)
	if err != nil {
		return err
	}
	out := linux.NewFID(a.Ino)
	if unique {
		n := p.Mount().UniqueID()
		err = usermem.Ptr[uint64](id).Store(t, &n)
	} else {
		n := int32(a.MountID)
		err = usermem.Ptr[int32](id).Store(t, &n)
	}
	if err != nil {
		return err
	}
	if head.Bytes < linux.FIDSize {
		out.Type = 0xff // FILEID_INVALID
		if err := h.Store(t, &out.FileHandle); err != nil {
			return err
		}
		return linux.EOVERFLOW
	}
	return usermem.Ptr[linux.FID](h).Store(t, &out)
}

// maxHandle is MAX_HANDLE_SZ.
const maxHandle = 128

// openByHandleAt implements open_by_handle_at(2), for which there are no handles:
// each that can be one is stale.
func openByHandleAt(t *kernel.Task, mount kernel.FD, h usermem.Ptr[linux.FileHandle], flags linux.OpenFlags) (kernel.FD, error) {
	may := false
	dirs := flags&linux.O_DIRECTORY != 0
	if mount == linux.AT_FDCWD {
		cwd := t.FS().Cwd()
		may = cwd.MayOpenHandles(t, dirs)
		cwd.Drop()
	} else {
		d, err := t.FDs().GetPath(mount)
		if err != nil {
			return 0, err
		}
		may = d.Path().MayOpenHandles(t, dirs)
		d.Release(t)
	}
	if !may {
		return 0, linux.EPERM
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
