package unix

import (
	"testing"

	"garrison/sentry/linux"
	"garrison/sentry/socket/sockettest"
)

// FuzzAddress: an address may be anything, and what is accepted comes back as it was.
func FuzzAddress(f *testing.F) {
	f.Add([]byte{1, 0})
	f.Add([]byte{1, 0, 0, 'x', 0})
	f.Add([]byte{1, 0, '/', 'x', 0})
	f.Add(append([]byte{1, 0}, make([]byte, 108)...))
	f.Fuzz(func(t *testing.T, b []byte) {
		b = b[:min(len(b), linux.SockaddrMax)]
		path, err := parse(b)
		if err != nil || path != "" {
			if len(path) > linux.SockaddrUnixLen-2 {
				t.Fatal("too long a path")
			}
			return
		}
		fam, c := newFamily(), sockettest.New(1)
		s, err := fam.Socket(c, linux.SOCK_DGRAM, 0)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Bind(c, b); err != nil {
			t.Fatal(err)
		}
		e := s.Proto().(*Endpoint)
		if string(e.name.Load().addr) != string(b) {
			t.Fatalf("%x", e.name.Load().addr)
		}
		if o, err := e.find(c, b); o != e || err != nil {
			t.Fatal(err)
		}
	})
}
