package tmpfs_test

import (
	"testing"

	"garrison/fs/fstest"
	"garrison/fs/tmpfs"
	"garrison/sentry/memfile"
	"garrison/sentry/vfs"
)

func newType(t testing.TB) *vfs.Type {
	mem := fstest.Memory(t)
	return tmpfs.NewType("tmpfs", tmpfs.Config{
		Memory: func(vfs.Ctx) *memfile.File { return mem },
		Total:  func() uint64 { return 1 << 30 },
	})
}

func mk(t *testing.T, s *vfs.System) *vfs.Filesystem {
	fs, err := s.NewFilesystem(s.Internal(), newType(t), &vfs.NewArgs{})
	if err != nil {
		t.Fatal(err)
	}
	return fs
}

func TestSuite(t *testing.T) { fstest.Test(t, mk, 0) }
