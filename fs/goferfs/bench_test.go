package goferfs

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"garrison/sentry/linux"
	"garrison/sentry/usermem"
	"garrison/sentry/vfs"
)

func BenchmarkStatCached(b *testing.B) {
	w := newWorld(b, nil)
	w.hostWrite("/f", "")
	w.mustStat("/f")
	b.ReportAllocs()
	for b.Loop() {
		w.mustStat("/f")
	}
}

func BenchmarkOpenCloseHot(b *testing.B) {
	w := newWorld(b, nil)
	w.hostWrite("/f", "")
	b.ReportAllocs()
	for b.Loop() {
		w.open("/f", linux.O_RDONLY).Release(w)
	}
}

// Each file is looked up and opened for the first time.
func BenchmarkOpenCold(b *testing.B) {
	w := newWorld(b, nil)
	const files = 2000
	for i := range files {
		w.hostWrite(fmt.Sprintf("/f%d", i), "")
	}
	i := 0
	b.ReportAllocs()
	for b.Loop() {
		w.open(fmt.Sprintf("/f%d", i%files), linux.O_RDONLY).Release(w)
		i++
	}
}

func BenchmarkStatMissing(b *testing.B) {
	w := newWorld(b, nil)
	i := 0
	b.ReportAllocs()
	for b.Loop() {
		if _, err := w.stat(fmt.Sprintf("/%d", i)); err != linux.ENOENT {
			b.Fatal(err)
		}
		i++
	}
}

func BenchmarkCreateUnlink(b *testing.B) {
	w := newWorld(b, nil)
	b.ReportAllocs()
	for b.Loop() {
		w.open("/f", linux.O_CREAT|linux.O_RDWR).Release(w)
		w.ok(vfs.Unlink(w, at("/f")))
	}
}

func BenchmarkRead4K(b *testing.B) {
	w := newWorld(b, nil)
	w.hostWrite("/f", strings.Repeat("x", 4096))
	d := w.open("/f", linux.O_RDONLY)
	defer d.Release(w)
	buf := make([]byte, 4096)
	b.ReportAllocs()
	for b.Loop() {
		if n, err := d.ReadAt(w, usermem.FromBytes(buf), 0); n != 4096 || err != nil {
			b.Fatal(n, err)
		}
	}
}

func BenchmarkRead4KHost(b *testing.B) {
	f, err := os.CreateTemp(b.TempDir(), "")
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	buf := make([]byte, 4096)
	if _, err := f.Write(buf); err != nil {
		b.Fatal(err)
	}
	fd := int(f.Fd())
	for b.Loop() {
		if _, err := unix.Pread(fd, buf, 0); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkWrite4K(b *testing.B) {
	w := newWorld(b, nil)
	d := w.open("/f", linux.O_RDWR|linux.O_CREAT)
	defer d.Release(w)
	buf := make([]byte, 4096)
	b.ReportAllocs()
	for b.Loop() {
		if n, err := d.WriteAt(w, usermem.FromBytes(buf), 0); n != 4096 || err != nil {
			b.Fatal(n, err)
		}
	}
}

// Listing with attributes, and a stat of each file, of a directory not seen before.
func BenchmarkFind(b *testing.B) {
	w := newWorld(b, nil)
	const files = 200
	for i := range files {
		w.hostWrite(fmt.Sprintf("/f%d", i), "")
	}
	b.ReportAllocs()
	for b.Loop() {
		w.fs.trimListings(0)
		for _, name := range w.list("/") {
			if name[0] != '.' {
				w.mustStat("/" + name)
			}
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/files, "ns/file")
}
