package tty

import (
	"bytes"
	"testing"
)

func BenchmarkWrite(b *testing.B) {
	l := newLine()
	text := bytes.Repeat([]byte("the quick brown fox jumps over the lazy dog, and so it goes on to the end\n"), 50)
	buf := make([]byte, 8192)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		l.write(text)
		l.takeOut(buf)
	}
}
