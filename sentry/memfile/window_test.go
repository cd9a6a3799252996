package memfile

import "testing"

// A guest that makes use of many chunks gets no more of them, and the sentry's process
// keeps mappings for itself.
func TestManyWindows(t *testing.T) {
	f := newFile(t)
	for i := range uint64(maxWindows) {
		if f.Bytes(i<<chunkShift, 1) == nil {
			t.Fatal("none for chunk", i)
		}
	}
	if f.Bytes(maxWindows<<chunkShift, 1) != nil {
		t.Error("there are more")
	}
	if f.Bytes(7<<chunkShift, 1) == nil || f.windows.n.Load() != maxWindows {
		t.Error("what there is is no longer found")
	}
}
