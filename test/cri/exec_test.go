package cri

import (
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

func testExec(k *kubelet) {
	p := k.pod(own())
	c := p.start("main", "sleep", "1000")
	if code, _, _ := c.do("false"); code != 1 {
		k.t.Errorf("%d", code)
	}
	if code, _, _ := c.do("sh", "-c", "kill -9 $$"); code != 137 {
		k.t.Errorf("%d", code)
	}
	if code, out, errs := c.do("sh", "-c", "head -c 1048576 /dev/zero; echo end >&2; exit 4"); code != 4 || len(out) != 1<<20 || errs != "end\n" {
		k.t.Errorf("%d, %d bytes, %q", code, len(out), errs)
	}
	c.says("root 0", "echo $(id -un) $(id -g)")

	_, err := k.runtime.ExecSync(background, &cri.ExecSyncRequest{ContainerId: c.id, Cmd: []string{"nosuch"}, Timeout: 10})
	if err == nil || !strings.Contains(err.Error(), "executable file not found") {
		k.t.Errorf("%v", err)
	}
	began := time.Now()
	_, err = k.runtime.ExecSync(background, &cri.ExecSyncRequest{ContainerId: c.id, Cmd: []string{"sleep", "77"}, Timeout: 1})
	if took := time.Since(began); status.Code(err) != codes.DeadlineExceeded || took > 20*time.Second {
		k.t.Errorf("after %v: %v", took, err)
	}
	c.says("0", "ps | grep -c '[s]leep 77' || :") // it was ended

	c.stop(0)
	_, err = k.runtime.ExecSync(background, &cri.ExecSyncRequest{ContainerId: c.id, Cmd: []string{"true"}, Timeout: 10})
	if err == nil || !strings.Contains(err.Error(), "not in running state") && !strings.Contains(err.Error(), "EXITED") {
		k.t.Errorf("in what has ended: %v", err)
	}
}
