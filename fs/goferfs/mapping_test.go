package goferfs

import (
	"os"
	"testing"
	"time"

	"garrison/gofer/wire"
	"garrison/platform/arch"
	"garrison/sentry/mm"
)

// A version is told of a file that has not changed for a while, and differs after each
// change of what fstat(2) says.
func TestVersion(t *testing.T) {
	now := time.Unix(1e9, 500)
	at := func(ago time.Duration) wire.Time {
		x := now.Add(-ago)
		return wire.Time{Sec: x.Unix(), Nsec: uint32(x.Nanosecond())}
	}
	for _, ago := range []time.Duration{-time.Hour, 0, settling - 1} {
		if v := version(&wire.Attr{Dev: 1, Ino: 2, Size: 3, Ctime: at(ago)}, now); v != (mm.Version{}) {
			t.Errorf("changed %v ago: %+v", ago, v)
		}
	}
	seen := map[mm.Version]bool{{}: true}
	for _, a := range []wire.Attr{
		{Dev: 1, Ino: 2, Size: 3, Ctime: at(settling)},
		{Dev: 2, Ino: 2, Size: 3, Ctime: at(settling)},
		{Dev: 1, Ino: 1, Size: 3, Ctime: at(settling)},
		{Dev: 1, Ino: 2, Size: 2, Ctime: at(settling)},
		{Dev: 1, Ino: 2, Size: 3, Ctime: at(settling + 1)},
		{Dev: 1, Ino: 2, Size: 3, Ctime: at(settling + time.Second)},
	} {
		v := version(&a, now)
		if seen[v] {
			t.Errorf("%+v: %+v again", a, v)
		}
		seen[v] = true
	}
}

// Who has the file open for writing may change it any time.
func TestVersionOfPages(t *testing.T) {
	f, err := os.Open("/etc/passwd") // it has not changed just now
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	ro := &descriptor{fd: int(f.Fd())}
	for _, c := range []struct {
		d    *data
		want bool
	}{{&data{ro: ro, noexec: -1}, true}, {&data{rw: ro, noexec: -1}, false}} {
		p, err := c.d.Pages(0, arch.PageSize, arch.Read|arch.Exec)
		if err != nil || p.Host != ro || (p.Version != mm.Version{}) != c.want {
			t.Errorf("%+v (%v), want a version: %v", p, err, c.want)
		}
	}
}
