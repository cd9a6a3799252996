package docker

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	api "github.com/containerd/containerd/api/runtime/task/v2"
	"github.com/containerd/ttrpc"
	"google.golang.org/protobuf/types/known/anypb"
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

// A limit of memory ends a process of the guest, which is told before its end; and
// the limit can be changed.
func testShimLimits(s *shimTest) {
	topics := s.listen()
	s.must(s.run("-d --memory-limit 67108864", "gs-l1", "sleep", "1000")...)
	s.expect(137, "", "task", "exec", "--exec-id", "x", "gs-l1", "tail", "/dev/zero")
	s.await("gs-l1", "RUNNING")
	before := s.memoryLimit("gs-l1")
	s.update("gs-l1", `{"memory": {"limit": 134217728}}`)
	if after := s.memoryLimit("gs-l1"); after-before != 64<<20 {
		s.t.Errorf("a limit of %d was raised by 64 MiB to %d", before, after)
	}
	s.remove("gs-l1")
	want := []string{"create", "start", "exec-added", "exec-started", "oom", "exit", "exit", "delete"}
	if got := topics(); !slices.Equal(got, want) {
		s.t.Errorf("%v, want %v", got, want)
	}
}

// memoryLimit is what metrics say of a container's limit of memory, in bytes.
func (s *shimTest) memoryLimit(id string) int {
	s.t.Helper()
	for line := range strings.Lines(s.must("task", "metrics", id)) {
		if f := strings.Fields(line); len(f) == 2 && f[0] == "memory.limit_in_bytes" {
			n, err := strconv.Atoi(f[1])
			if err != nil {
				s.t.Fatal(err)
			}
			return n
		}
	}
	s.t.Fatal("no limit of memory in the metrics")
	return 0
}

// update asks the shim of container id for other limits, as ctr can't.
func (s *shimTest) update(id, resources string) {
	s.t.Helper()
	conn, err := net.Dial("unix", s.socket(id))
	if err != nil {
		s.t.Fatal(err)
	}
	client := ttrpc.NewClient(conn)
	defer client.Close()
	ctx, cancel := context.WithTimeout(s.t.Context(), 10*time.Second)
	defer cancel()
	_, err = api.NewTaskClient(client).Update(ctx, &api.UpdateTaskRequest{
		ID: id, Resources: &anypb.Any{TypeUrl: "types.containerd.io/opencontainers/runtime-spec/1/LinuxResources", Value: []byte(resources)},
	})
	if err != nil {
		s.t.Errorf("update: %v", err)
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
