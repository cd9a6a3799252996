package control

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestMessagesAndFiles(t *testing.T) {
	a, f, err := Pair()
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	b, err := NewConn(f)
	if err != nil {
		t.Fatal(err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	long := strings.Repeat("x", 1<<20) // far more than a socket buffers
	sent := make(chan error, 1)
	go func() {
		if err := a.Send(&Boot{ID: long}, w); err != nil {
			sent <- err
			return
		}
		sent <- a.Send(&Commit{})
	}()
	var boot Boot
	files, err := b.Receive(&boot)
	if err != nil || len(files) != 1 || boot.ID != long {
		t.Fatalf("%d files, id of %d bytes, %v", len(files), len(boot.ID), err)
	}
	w.Close()
	if _, err := files[0].WriteString("hi"); err != nil {
		t.Fatal(err)
	}
	CloseFiles(files)
	if got, _ := io.ReadAll(r); string(got) != "hi" {
		t.Fatalf("%q", got)
	}
	if files, err := b.Receive(&Commit{}); err != nil || len(files) != 0 {
		t.Fatal(files, err)
	}
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
	if err := a.SetDeadline(time.Now().Add(5 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Receive(&boot); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal(err)
	}
	b.Close()
	_ = a.SetDeadline(time.Time{})
	if _, err := a.Receive(&boot); !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
}

func TestHostilePeer(t *testing.T) {
	for _, bytes := range []string{"\x01", "\xff\xff\xff\xff", "\x04\x00\x00\x00{", "\x02\x00\x00\x00no"} {
		a, f, err := Pair()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteString(bytes); err != nil {
			t.Fatal(err)
		}
		f.Close()
		if _, err := a.Receive(&Boot{}); err == nil {
			t.Errorf("%q is a message", bytes)
		}
		a.Close()
	}
}

func TestLongPaths(t *testing.T) {
	dir := filepath.Join(t.TempDir(), strings.Repeat("d", 150))
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := Dial(dir, "s"); !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	l, err := Listen(dir, "s")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := Dial(dir, "s")
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
}
