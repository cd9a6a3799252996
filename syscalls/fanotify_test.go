package syscalls_test

import (
	"encoding/binary"
	"sync/atomic"
	"testing"

	"garrison/sentry/linux"
	"garrison/test/scripted"
)

const (
	sysRead         = 0
	sysWrite        = 1
	sysOpen         = 2
	sysClose        = 3
	sysFanotifyInit = 300
	sysFanotifyMark = 301
)

// TestFanotifyAsked has processes open a file at once while a listener answers yes, no, and
// nothing to those that are killed; and then goes, which lets all go on.
func TestFanotifyAsked(t *testing.T) {
	const openers, rounds = 4, 30
	var allowed, denied, left atomic.Int32
	runs(t, func(g *scripted.Guest) {
		file, here := g.PutString("/file"), uint64(1<<32+linux.AT_FDCWD)
		g.Call(sysClose, uint64(g.Call(sysOpen, file, uint64(linux.O_CREAT|linux.O_RDWR), 0o600)))
		group := uint64(g.Call(sysFanotifyInit, linux.FAN_CLASS_CONTENT|linux.FAN_CLOEXEC, 0))
		mask := uint64(linux.FAN_OPEN_PERM | linux.FAN_CLOSE_NOWRITE)
		want(t, "mark", g.Call(sysFanotifyMark, group, linux.FAN_MARK_ADD, mask, here, file), 0)
		left.Store(openers)
		for range openers {
			g.Fork(func(g *scripted.Guest) {
				g.Call(sysClose, group) // so that the listener's is the last
				for range rounds {
					switch fd := g.Call(sysOpen, file, 0); fd {
					case errno(linux.EPERM):
						denied.Add(1)
					default:
						allowed.Add(1)
						want(t, "close", g.Call(sysClose, uint64(fd)), 0)
					}
				}
				left.Add(-1)
			})
		}
		victim := g.Fork(func(g *scripted.Guest) {
			for {
				g.Call(sysClose, uint64(g.Call(sysOpen, file, 0)))
			}
		})
		buf, no := g.Alloc(24*8), g.Alloc(8)
		for i := 0; denied.Load()+allowed.Load() < openers*rounds/2; i++ {
			n := g.Call(sysRead, group, uint64(buf), 24*8)
			b := make([]byte, max(n, 0))
			g.Load(buf, b)
			for ; len(b) > 0; b = b[24:] {
				fd, asks := b[16:20], binary.LittleEndian.Uint64(b[8:])&linux.FAN_OPEN_PERM != 0
				if asks {
					g.Store(no, append(fd[:4:4], byte(1+i%2), 0, 0, 0))
					want(t, "answer", g.Call(sysWrite, group, uint64(no), 8), 8)
				}
				g.Call(sysClose, uint64(binary.LittleEndian.Uint32(fd)))
			}
			if i == openers {
				g.Call(sysKill, uint64(victim), uint64(linux.SIGKILL))
			}
		}
		g.Call(sysClose, group)
		for range openers + 1 {
			wait4(g, -1, 0)
		}
	})
	want(t, "left", left.Load(), 0)
	want(t, "opens", allowed.Load()+denied.Load(), openers*rounds)
	if denied.Load() == 0 || allowed.Load() < openers*rounds/2 {
		t.Errorf("%d allowed, %d denied", allowed.Load(), denied.Load())
	}
}
