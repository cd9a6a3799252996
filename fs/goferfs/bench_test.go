package goferfs

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"garrison/gofer"
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

// A tree that was not seen before is gone through as find(1) does, which looks at
// directories alone, and as du(1) does, which looks at all: what that costs besides the
// guest's own calls.
func BenchmarkTree(b *testing.B) {
	const tops, each, files = 50, 10, 8
	host := b.TempDir()
	for i := range tops * each {
		dir := fmt.Sprintf("%s/t/%d/%d", host, i/each, i)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			b.Fatal(err)
		}
		for j := range files {
			if err := os.WriteFile(fmt.Sprintf("%s/file-%d.txt", dir, j), nil, 0o644); err != nil {
				b.Fatal(err)
			}
		}
	}
	for _, files := range []bool{false, true} {
		b.Run(map[bool]string{false: "names", true: "files"}[files], func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				w := &world{TB: b, host: host}
				w.mount(gofer.Mount{Path: host})
				w.walk("/t", func(dir string, names []string) {
					w.mustStat(dir)
					for _, name := range names {
						if files && name[0] != '.' {
							w.mustStat(dir + "/" + name)
						}
					}
				})
				w.end()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/(1+tops+tops*each), "ns/dir")
		})
	}
}
