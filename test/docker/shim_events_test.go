package docker

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// listen collects the topics of events from now on, and returns what tells those of
// tasks once the last of them is of a container's deletion.
func (s *shimTest) listen() (topics func() []string) {
	s.t.Helper()
	cmd := s.command("events")
	var out lockedBuffer
	cmd.Stdout = &out
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	time.Sleep(200 * time.Millisecond) // until it listens, which it does not say
	return func() (got []string) {
		s.t.Helper()
		s.until(func() string {
			got = nil
			for _, word := range strings.Fields(out.String()) {
				if topic, ok := strings.CutPrefix(word, "/tasks/"); ok {
					got = append(got, topic)
				}
			}
			if len(got) == 0 || got[len(got)-1] != "delete" {
				return fmt.Sprintf("no event of the end: %q", out.String())
			}
			return ""
		})
		return got
	}
}

func testShimEvents(s *shimTest) {
	topics := s.listen()
	s.must(s.run("-d", "gs-e1", "sleep", "1000")...)
	s.expect(0, "", "task", "exec", "--exec-id", "x", "gs-e1", "true")
	s.must("task", "pause", "gs-e1")
	s.must("task", "resume", "gs-e1")
	s.remove("gs-e1")
	want := []string{"create", "start", "exec-added", "exec-started", "exit", "paused", "resumed", "exit", "delete"}
	if got := topics(); !slices.Equal(got, want) {
		s.t.Errorf("%v, want %v", got, want)
	}
}

// socket is where the shim of container id listens.
func (s *shimTest) socket(id string) string {
	return fmt.Sprintf("/run/containerd/s/%x", sha256.Sum256([]byte(filepath.Join(s.args[2], "default", id))))
}

// A lockedBuffer can be read while it is written.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
