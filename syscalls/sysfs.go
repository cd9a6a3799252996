package syscalls

import (
	"garrison/platform/arch"
	"garrison/sentry/kernel"
	"garrison/sentry/linux"
)

// sysfs is sysfs(2): the types of filesystems by name and number.
func sysfs(t *kernel.Task, option int32, a, b uint64) (int, error) {
	types := t.Kernel().VFS.Types()
	switch option {
	case 1:
		name, err := pathname(a).load(t)
		if err != nil {
			return 0, err
		}
		for i, x := range types {
			if x.Name == name {
				return i, nil
			}
		}
	case 2:
		if a < uint64(len(types)) {
			_, err := t.CopyOut(arch.Addr(b), append([]byte(types[a].Name), 0))
			return 0, err
		}
	case 3:
		return len(types), nil
	}
	return 0, linux.EINVAL
}
