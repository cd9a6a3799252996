package shim

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// fifos are three FIFOs in a directory of their own.
func fifos(t *testing.T) streamNames {
	t.Helper()
	dir := t.TempDir()
	n := streamNames{stdin: dir + "/in", stdout: dir + "/out", stderr: dir + "/err"}
	for _, path := range []string{n.stdin, n.stdout, n.stderr} {
		if err := unix.Mkfifo(path, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return n
}

// ways are how a process may be given its streams.
var ways = map[string]bool{"as they are": false, "relayed": true}

func TestInputEnds(t *testing.T) {
	for name, relayed := range ways {
		t.Run(name, func(t *testing.T) {
			n := fifos(t)
			s, err := openStreams(n, relayed)
			if err != nil {
				t.Fatal(err)
			}
			defer s.close()
			client, err := os.OpenFile(n.stdin, os.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := client.WriteString("typed"); err != nil {
				t.Fatal(err)
			}
			client.Close() // another may come, as long as nobody says that it is the end
			all := make(chan string)
			go func() {
				data, _ := io.ReadAll(s.files[0])
				all <- string(data)
			}()
			select {
			case got := <-all:
				t.Fatalf("ended by itself after %q", got)
			case <-time.After(50 * time.Millisecond):
			}
			s.closeInput()
			if got := <-all; got != "typed" {
				t.Errorf("%q", got)
			}
		})
	}
}

// What a process has written arrives whole, though it is gone, and so is the shim's part.
func TestOutputIsWhole(t *testing.T) {
	for name, relayed := range ways {
		t.Run(name, func(t *testing.T) {
			n := fifos(t)
			s, err := openStreams(n, relayed)
			if err != nil {
				t.Fatal(err)
			}
			client, err := os.Open(n.stdout)
			if err != nil {
				t.Fatal(err)
			}
			want := strings.Repeat("x", 1<<20)
			go func() {
				_, _ = s.files[1].WriteString(want)
				_ = s.CloseAfterStart()
				s.drain(10 * time.Second)
				s.close()
			}()
			if got, err := io.ReadAll(client); err != nil || string(got) != want {
				t.Errorf("%d bytes, %v; want %d", len(got), err, len(want))
			}
		})
	}
}

// A child of a process that exec made may keep its output: readers see the end all the same.
func TestOutputEnds(t *testing.T) {
	n := fifos(t)
	s, err := openStreams(n, true)
	if err != nil {
		t.Fatal(err)
	}
	client, err := os.Open(n.stdout)
	if err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Dup(int(s.files[1].Fd()))
	if err != nil {
		t.Fatal(err)
	}
	child := os.NewFile(uintptr(fd), "child")
	defer child.Close()
	_, _ = child.WriteString("said")
	_ = s.CloseAfterStart()
	s.drain(50 * time.Millisecond)
	s.close()
	if got, err := io.ReadAll(client); err != nil || string(got) != "said" {
		t.Errorf("%q %v", got, err)
	}
}

func TestOutputToFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	for range 2 {
		s, err := openStreams(streamNames{stdout: "file://" + path, stderr: "file://" + path}, false)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = s.files[1].WriteString("o")
		_, _ = s.files[2].WriteString("e")
		s.close()
	}
	if data, err := os.ReadFile(path); err != nil || string(data) != "oeoe" {
		t.Errorf("%q %v", data, err)
	}
}

func TestBadStreams(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for want, n := range map[string]streamNames{
		"stdin: " + file + ": not a FIFO": {stdin: file},
		"no such file":                    {stdout: file + "x"},
		"stderr: tcp://x: unknown scheme": {stderr: "tcp://x"},
	} {
		if _, err := openStreams(n, false); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", n, err, want)
		}
	}
}
