package files

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"garrison/test/bundle"
)

// Bounds of what a sandbox that has seen many names may hold.
const (
	mostDescriptors = 1000
	mostPerName     = 1229 // 1.2 KiB of the sentry's, for each name it knows
)

// TestManyNames has find(1) visit a large tree of the host's, and each file read once:
// neither process of the sandbox keeps a descriptor for each, and the sentry little memory.
func TestManyNames(t *testing.T) {
	dirs, each := 40, 100
	if long() {
		dirs, each = 1000, 200
	}
	b := newBox(t, bundle.Ours(*runsc, *platform), "", "/bin/busybox", "sleep", "100000")
	for d := range dirs {
		dir := filepath.Join(b.vol(), fmt.Sprintf("directory-%04d", d))
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		for f := range each {
			if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("file-%03d.txt", f)), []byte("some text\n"), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	s := b.start(t, null)
	s.exec("/bin/busybox", "find", "/bin") // what is there for any find
	s.collect()
	before := resident(t, s.sentry)

	most := s.watch(func() {
		out := s.exec("/bin/busybox", "find", "/vol", "-type", "f", "-size", "-2")
		if n := strings.Count(out, "\n"); n != dirs*each {
			t.Errorf("find sees %d files, want %d", n, dirs*each)
		}
	})
	s.collect()
	after := resident(t, s.sentry)
	names := int64(dirs*each + dirs)
	t.Logf("find: %d names, %d bytes each (%d KiB became %d); at most %d descriptors in the sentry, %d in the gofer",
		names, (after-before)/names, before>>10, after>>10, most[0], most[1])
	if long() && after-before > names*mostPerName {
		t.Errorf("%d bytes for each name, want at most %d", (after-before)/names, mostPerName)
	}

	read := s.watch(func() {
		out := s.exec("/bin/busybox", "sh", "-c", "/bin/busybox find /vol -type f | /bin/busybox xargs /bin/busybox cat | /bin/busybox wc -l")
		if want := fmt.Sprint(dirs * each); strings.TrimSpace(out) != want {
			t.Errorf("%s lines were read, want %s", strings.TrimSpace(out), want)
		}
	})
	s.collect()
	t.Logf("cat: %d bytes each; at most %d descriptors in the sentry, %d in the gofer", (resident(t, s.sentry)-before)/names, read[0], read[1])
	for i, who := range []string{"sentry", "gofer"} {
		if n := max(most[i], read[i]); n > mostDescriptors {
			t.Errorf("the %s had %d descriptors, want at most %d", who, n, mostDescriptors)
		}
	}
}

// collect has the sentry give back memory that it does not use.
func (s *sandbox) collect() {
	s.t.Helper()
	for range 2 {
		if out, err := s.command("debug", "--stacks", s.id).CombinedOutput(); err != nil {
			s.t.Fatalf("%v: %s", err, out)
		}
	}
	time.Sleep(100 * time.Millisecond)
}

// watch calls f, and returns the most descriptors that sentry and gofer have meanwhile
// and afterwards.
func (s *sandbox) watch(f func()) (most [2]int) {
	s.t.Helper()
	done, told := make(chan struct{}), make(chan struct{})
	look := func() {
		for i, pid := range []int{s.sentry, s.gofer} {
			fds, _ := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
			most[i] = max(most[i], len(fds))
		}
	}
	go func() {
		defer close(told)
		for {
			select {
			case <-done:
				return
			case <-time.After(50 * time.Millisecond):
				look()
			}
		}
	}()
	f()
	close(done)
	<-told
	look()
	return most
}
