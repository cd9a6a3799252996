package pseudo

import (
	"bytes"
	"testing"

	"garrison/sentry/vfs"
)

// However many files are open, what they have shown takes no more memory than is set for
// it, and all of it can be read all the same.
func TestKeptIsBounded(t *testing.T) {
	const long, files = 5 << 20, 40
	e := &Entry[int]{Show: func(n int, _ vfs.Ctx, w *bytes.Buffer) error {
		w.Write(make([]byte, n))
		return nil
	}}
	held := func(opened []*open[int]) (n int) {
		for _, o := range opened {
			n += cap(o.text)
		}
		return n
	}
	var opened []*open[int]
	for range files {
		o := &open[int]{f: &file[int]{node[int]{s: long, of: &Subject[int]{}}, e}}
		opened = append(opened, o)
		for _, off := range []int64{0, long / 2} {
			if text, err := o.snapshot(nil, off); err != nil || len(text) != long {
				t.Fatal(len(text), err)
			}
		}
	}
	if n := held(opened); n == 0 || n > maxKept {
		t.Errorf("%d bytes are kept", n)
	}
	for _, o := range opened {
		o.Close(nil)
	}
	if n := held(opened); n != 0 || kept.Load() != 0 {
		t.Errorf("%d bytes are left, and %d counted", n, kept.Load())
	}
}
