package syscalls

import (
	"strconv"

	"garrison/platform/arch"
	"garrison/sentry/kernel"
	"garrison/sentry/limits"
	"garrison/sentry/linux"
	"garrison/sentry/usermem"
	"garrison/sentry/vfs"
)

// Limits on execve's arguments, <linux/binfmts.h>.
const (
	maxArgLen   = 32 * arch.PageSize // MAX_ARG_STRLEN
	maxArgBytes = 6 << 20            // three quarters of _STK_LIM, whatever the stack's limit
)

// execve implements execve(2).
func execve(t *kernel.Task, name pathname, argv, envp usermem.Ptr[uint64]) (uint64, error) {
	path, err := name.load(t)
	if err != nil {
		return 0, err
	}
	return doExec(t, &kernel.ExecSpec{At: vfs.At{Name: path}, Name: path}, argv, envp)
}

// execveat implements execveat(2).
func execveat(t *kernel.Task, dir kernel.FD, name pathname, argv, envp usermem.Ptr[uint64], flags int32) (uint64, error) {
	if flags&^(linux.AT_EMPTY_PATH|linux.AT_SYMLINK_NOFOLLOW) != 0 {
		return 0, linux.EINVAL
	}
	path, err := name.load(t)
	if err != nil {
		return 0, err
	}
	if path == "" && flags&linux.AT_EMPTY_PATH == 0 {
		return 0, linux.ENOENT
	}
	s := &kernel.ExecSpec{At: vfs.At{Name: path}, Name: path}
	if dir != linux.AT_FDCWD && (path == "" || path[0] != '/') {
		f, err := t.FDs().GetPath(dir)
		if err != nil {
			return 0, err
		}
		defer f.Release(t)
		s.At.Start = f.Path()
		s.Name = "/dev/fd/" + strconv.Itoa(int(dir))
		if path != "" {
			s.Name += "/" + path
		}
	}
	if flags&linux.AT_EMPTY_PATH != 0 {
		s.At.Flags |= vfs.EmptyOK
	}
	if flags&linux.AT_SYMLINK_NOFOLLOW != 0 {
		s.At.Flags |= vfs.NoFollow
	}
	return doExec(t, s, argv, envp)
}

func doExec(t *kernel.Task, s *kernel.ExecSpec, argv, envp usermem.Ptr[uint64]) (uint64, error) {
	if err := t.MayExec(); err != nil {
		return 0, err
	}
	left := argSpace(t)
	var err error
	if s.Argv, err = loadStrings(t, argv, &left); err != nil {
		return 0, err
	}
	if s.Env, err = loadStrings(t, envp, &left); err != nil {
		return 0, err
	}
	if len(s.Argv) == 0 {
		s.Argv = []string{""} // Linux since 5.18: no program runs without argv[0]
	}
	if err := t.Exec(s); err != nil {
		return 0, err
	}
	return 0, nil
}

// argSpace is how many bytes of arguments and environment fit: a quarter of the
// stack's limit, at least 128 KiB, at most 6 MiB.
func argSpace(t *kernel.Task) int64 {
	n := min(t.Limit(limits.Stack)/4, maxArgBytes)
	return int64(max(n, maxArgLen))
}

// loadStrings reads a vector of strings that ends with NULL, and takes their size
// from left: E2BIG.
func loadStrings(t *kernel.Task, vec usermem.Ptr[uint64], left *int64) (out []string, err error) {
	if vec == 0 {
		return nil, nil
	}
	for i := 0; ; i++ {
		p, err := vec.At(i).Load(t)
		if err != nil {
			return nil, err
		}
		if p == 0 {
			return out, nil
		}
		s, err := usermem.CopyInString(t, arch.Addr(p), maxArgLen-1)
		if err == linux.ENAMETOOLONG {
			err = linux.E2BIG
		}
		if err != nil {
			return nil, err
		}
		if *left -= int64(len(s)) + 1 + 8; *left < 0 {
			return nil, linux.E2BIG
		}
		out = append(out, s)
	}
}
