package inet

import (
	"testing"

	"garrison/sentry/linux"
	"garrison/sentry/socket"
	"garrison/sentry/socket/sockettest"
	"garrison/sentry/usermem"
)

// FuzzGuest gives a socket addresses, options and ioctl buffers that may be anything.
func FuzzGuest(f *testing.F) {
	f.Add(in4(0, 127, 0, 0, 1), int32(0), int32(1), uint32(linux.SIOCGIFCONF))
	f.Add(in6(0, 1), int32(41), int32(20), uint32(linux.SIOCGIFFLAGS))
	f.Add([]byte("lo\x00"), int32(1), int32(25), uint32(linux.SIOCGIFNAME))
	f.Add([]byte{224, 0, 0, 1, 127, 0, 0, 1, 1, 0, 0, 0}, int32(0), int32(35), uint32(linux.FIONREAD))
	n := socket.NewNetwork()
	fam := New(n)
	defer fam.Close()
	c := sockettest.New(1)
	f.Fuzz(func(t *testing.T, b []byte, level, name int32, cmd uint32) {
		for _, k := range []socket.Kind{{Family: linux.AF_INET, Type: linux.SOCK_STREAM}, {Family: linux.AF_INET6, Type: linux.SOCK_DGRAM}} {
			s, err := n.Socket(c, k)
			if err != nil {
				t.Fatal(err)
			}
			addr := b[:min(len(b), linux.SockaddrMax)]
			m := &socket.Msg{}
			m.Addr.Set(addr)
			m.Add(level, name, b)
			s.SetOption(c, level, name, b)
			s.Option(c, level, name, len(b))
			s.Ioctl(c, usermem.Bytes(b), cmd, 0)
			s.Transmit(c, usermem.FromBytes(b), linux.MSG_DONTWAIT, m)
			s.Bind(c, addr)
			s.Connect(c, addr, true)
			s.Close(c)
		}
	})
}
