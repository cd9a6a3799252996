// Package cri does with containerd what a kubelet does, by way of CRI: pods and
// their containers, with runc first and then with ours. The daemon is the
// distribution's, in namespaces and directories of its own, with images made here.
package cri

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

var (
	runscFlag = flag.String("runsc", "../../bin/runsc", "runtime to test, with the shim beside it")
	runsc     string // its path
	work      string // a short path: sockets are below it
)

func TestMain(m *testing.M) {
	flag.Parse()
	code, err := setUp(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(code)
}

func setUp(m *testing.M) (int, error) {
	var err error
	if runsc, err = filepath.Abs(*runscFlag); err != nil {
		return 1, err
	}
	if _, err := os.Stat(filepath.Join(filepath.Dir(runsc), "containerd-shim-runsc-v1")); err != nil {
		return 1, fmt.Errorf("%w: make build first", err)
	}
	if os.Geteuid() != 0 {
		fmt.Println("skip: needs root")
		return 0, nil
	}
	if work, err = os.MkdirTemp("/run", "gc"); err != nil {
		return 1, err
	}
	defer os.RemoveAll(work)
	return m.Run(), nil
}

// A topic is what one test asks of a runtime.
type topic struct {
	name string
	test func(*kubelet)
}

// TestCRI is what every pod needs.
func TestCRI(t *testing.T) {
	startNode(t).run(t, []topic{{"pod", testPod}, {"together", testTogether}, {"network", testNetwork}})
}

// TestCRILong is the rest of what a kubelet does.
func TestCRILong(t *testing.T) {
	if os.Getenv("GARRISON_DOCKER") == "" {
		t.Skip("the long tier: make test-cri")
	}
	startNode(t).run(t, []topic{
		{"exec", testExec}, {"streams", testStreams}, {"logs", testLogs}, {"status", testStatus}, {"stop", testStop}, {"stats", testStats},
		{"host network", testHostNetwork}, {"shared processes", testSharedProcesses},
		{"daemon restarts", testDaemonRestarts}, {"shim is killed", testShimKilled},
	})
}

// run runs all topics with runc and then with ours. Nothing may be left of any.
func (n *node) run(t *testing.T, topics []topic) {
	for _, handler := range []string{"runc", "runsc"} {
		t.Run(handler, func(t *testing.T) {
			for _, topic := range topics {
				t.Run(topic.name, func(t *testing.T) {
					t.Cleanup(func() { n.clean(t) })
					topic.test(&kubelet{t: t, node: n, handler: handler})
				})
			}
		})
	}
}
