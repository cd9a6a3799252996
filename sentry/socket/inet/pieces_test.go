package inet

import (
	"testing"
)

// TestPieceOf: a frame takes whole segments only, as many as the host takes.
func TestPieceOf(t *testing.T) {
	const room = longest - reserved
	for _, c := range []struct{ mtu, segment int }{{1500, 1448}, {1300, 1248}, {9000, 8948}, {576, 524}} {
		n := pieceOf(uint32(c.mtu))
		if n%c.segment != 0 || n > room || n+c.segment <= room {
			t.Errorf("MTU %d: %d", c.mtu, n)
		}
	}
	for _, mtu := range []uint32{0, 40, 52, 65535, 1 << 31} { // of which none is cut
		if n := pieceOf(mtu); n != room {
			t.Errorf("MTU %d: %d", mtu, n)
		}
	}
	_, f := outsideLink(t)
	l := f.only.Load()
	if got := int64(l.GSOMaxSize()) - reserved; got != l.piece || got != int64(pieceOf(1500)) {
		t.Errorf("the stack sends %d bytes at once, and is given %d", got, l.piece)
	}
}

// TestFilling: no piece of a long message is of two frames, whatever was sent before.
func TestFilling(t *testing.T) {
	const piece = 65160
	var f filling
	var at int64
	for _, size := range []int64{128 << 10, 100, 1 << 20, piece, 70_000, 128 << 10} {
		for left := size; left > 0; {
			n := f.next(left, piece)
			if n <= 0 || n > left || at/piece != (at+n-1)/piece {
				t.Fatalf("%d bytes at %d, of %d", n, at, left)
			}
			if (at+n)%piece != 0 && n != left {
				t.Fatalf("a piece ends at %d, in the middle of a message", at+n)
			}
			f.add(n, piece)
			at, left = at+n, left-n
		}
	}
}
