package tmpfs_test

import (
	"runtime"
	"testing"

	"garrison/sentry/linux"
	"garrison/sentry/usermem"
)

// heap is how many bytes the kernel itself has in use.
func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// A file that is nearly all holes costs the kernel less than its pages cost the guest.
func TestSparseFile(t *testing.T) {
	e := newEnv(t)
	d := e.open("/f", linux.O_CREAT|linux.O_RDWR)
	defer d.Release(e.c)
	const pages = 500
	before := heap()
	for i := range int64(pages) {
		// The last page of a GiB is the dearest to keep account of.
		n, err := d.WriteAt(e.c, usermem.FromBytes([]byte("x")), (i+1)<<30-1)
		if n != 1 || err != nil {
			t.Fatal(i, n, err)
		}
	}
	if n := heap() - before; n > pages*4096 {
		t.Errorf("%d bytes for each page", n/pages)
	}
	e.want("truncate", d.Truncate(e.c, 0), nil)
	if a, err := d.Attr(e.c); err != nil || a.Blocks != 0 {
		t.Error(a.Blocks, err)
	}
}
