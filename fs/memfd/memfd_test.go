package memfd_test

import (
	"testing"

	"garrison/fs/fstest"
	"garrison/fs/memfd"
	"garrison/fs/tmpfs"
	"garrison/platform/arch"
	"garrison/sentry/linux"
	"garrison/sentry/memfile"
	"garrison/sentry/usermem"
	"garrison/sentry/vfs"
)

func setUp(t *testing.T) (*memfd.Files, *fstest.Caller) {
	s, mem := vfs.New(nil), fstest.Memory(t)
	typ := tmpfs.NewType("tmpfs", tmpfs.Config{
		Memory: func(vfs.Ctx) *memfile.File { return mem },
		Total:  func() uint64 { return 1 << 30 },
	})
	fs, err := s.NewFilesystem(s.Internal(), typ, &vfs.NewArgs{Options: vfs.ParseOptions("size=0,nr_inodes=0")})
	if err != nil {
		t.Fatal(err)
	}
	return memfd.New(s, fs), fstest.NewCaller(t, nil)
}

func TestSeals(t *testing.T) {
	files, c := setUp(t)
	d, err := files.Create(c, "x", linux.MFD_ALLOW_SEALING)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Release(c)
	if name, _ := d.Path().Abs(vfs.Path{}); name != "/memfd:x (deleted)" {
		t.Fatal(name)
	}
	seal := d.Inode().(vfs.Sealer)
	write := func(off int64, want error) {
		t.Helper()
		if _, err := d.WriteAt(c, usermem.FromBytes([]byte("abc")), off); err != want {
			t.Fatal(err, want)
		}
	}
	write(0, nil)
	if err := seal.AddSeals(linux.F_SEAL_GROW | linux.F_SEAL_SHRINK); err != nil {
		t.Fatal(err)
	}
	write(0, nil)
	write(3, linux.EPERM)
	if d.Truncate(c, 1) != linux.EPERM || d.Truncate(c, 9) != linux.EPERM || d.Truncate(c, 3) != nil {
		t.Fatal("truncate")
	}
	if err := seal.AddSeals(linux.F_SEAL_WRITE | linux.F_SEAL_SEAL); err != nil {
		t.Fatal(err)
	}
	write(0, linux.EPERM)
	if seal.AddSeals(linux.F_SEAL_EXEC) != linux.EPERM {
		t.Fatal("sealed, and yet not")
	}
	if d.MaxAccess(true).Has(arch.Write) || !d.MaxAccess(false).Has(arch.Write) {
		t.Fatal("mappings")
	}
	if _, err := d.Mmap(c, vfs.MapSpec{Len: 4096, Access: arch.Read | arch.Write, Shared: true}); err != linux.EPERM {
		t.Fatal(err)
	}
	if _, err := d.Mmap(c, vfs.MapSpec{Len: 4096, Access: arch.Read | arch.Write}); err != nil {
		t.Fatal(err)
	}
}

func TestFlags(t *testing.T) {
	files, c := setUp(t)
	for flags, want := range map[uint32]error{
		linux.MFD_HUGETLB: linux.ENODEV, 1 << 20: linux.EINVAL,
		linux.MFD_EXEC | linux.MFD_NOEXEC_SEAL: linux.EINVAL, linux.MFD_NOEXEC_SEAL: nil, 0: nil,
	} {
		d, err := files.Create(c, "", flags)
		if err != want {
			t.Fatal(flags, err)
		}
		if err != nil {
			continue
		}
		want := uint32(linux.F_SEAL_SEAL)
		if flags == linux.MFD_NOEXEC_SEAL {
			want = linux.F_SEAL_EXEC
			if vfs.Chmod(c, d.Path(), 0o777) != linux.EPERM {
				t.Fatal("made executable")
			}
		}
		if got := d.Inode().(vfs.Sealer).Seals(); got != want {
			t.Fatal(flags, got)
		}
		d.Release(c)
	}
}

func TestMoreThanMemory(t *testing.T) {
	files, c := setUp(t)
	d, err := files.Create(c, "", 0)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Release(c)
	for _, n := range []int64{1<<62 + 1, 1<<30 + 1} {
		if err := d.Allocate(c, linux.FALLOC_FL_KEEP_SIZE, 0, n); err != linux.ENOSPC {
			t.Fatal(n, err)
		}
	}
	if a, err := d.Inode().Attr(c); err != nil || a.Blocks != 0 {
		t.Fatal("left behind", a.Blocks, err)
	}
	if err := d.Allocate(c, linux.FALLOC_FL_KEEP_SIZE, 0, 1<<30); err != nil {
		t.Fatal("all there is", err)
	}
}
