package cri

import (
	"fmt"
	"os"
	"strings"
	"time"

	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// logs waits until a container's log has these lines and no others, whose times are
// left out: "stdout F text", where P in place of F says that the line goes on. The two
// streams come in the order of each.
func (c *container) logs(want ...string) {
	c.k.t.Helper()
	until(c.k.t, func() string {
		data, err := os.ReadFile(c.log)
		if err != nil {
			return err.Error()
		}
		var got [2][]string // by stream
		for line := range strings.Lines(string(data)) {
			when, text, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
			if _, err := time.Parse(time.RFC3339Nano, when); err != nil {
				c.k.t.Fatalf("%q: %v", line, err)
			}
			add(&got, text)
		}
		var all [2][]string
		for _, text := range want {
			add(&all, text)
		}
		if fmt.Sprint(got) != fmt.Sprint(all) {
			return fmt.Sprintf("logs of %.200q, want %.200q", got, all)
		}
		return ""
	})
}

func add(to *[2][]string, line string) {
	n := 0
	if strings.HasPrefix(line, "stderr ") {
		n = 1
	}
	to[n] = append(to[n], line)
}

func testLogs(k *kubelet) {
	p := k.pod(own())
	c := p.start("main", "sh", "-c", "echo first; until [ -e /tmp/go ]; do sleep 0.1; done; echo second; "+
		"head -c 20000 /dev/zero | tr '\\0' x; echo; printf unfinished >&2; until [ -e /tmp/end ]; do sleep 0.1; done; echo last")
	c.logs("stdout F first")

	// The kubelet moves a log that has grown, and asks for another.
	if err := os.Rename(c.log, c.log+".1"); err != nil {
		k.t.Fatal(err)
	}
	if _, err := k.runtime.ReopenContainerLog(background, &cri.ReopenContainerLogRequest{ContainerId: c.id}); err != nil {
		k.t.Fatal(err)
	}
	c.says("", "touch /tmp/go")
	rest := strings.Repeat("x", 20000-16384)
	c.logs("stdout F second", "stdout P "+strings.Repeat("x", 16384), "stdout F "+rest)
	c.says("", "touch /tmp/end")
	c.ended(0, "Completed")
	c.logs("stdout F second", "stdout P "+strings.Repeat("x", 16384), "stdout F "+rest, "stderr P unfinished", "stdout F last")
}
