package sys_test

import (
	"strings"
	"testing"

	"garrison/fs/sys"
	"garrison/sentry/linux"
	"garrison/sentry/vfs"
	"garrison/test/idle"
)

func TestWalk(t *testing.T) {
	w := idle.New(t)
	w.Mount("/sys", sys.Type(w.K), "")
	seen := 0
	w.Walk("/sys", func(name string, a vfs.Attr) {
		seen++
		if a.Mode.IsRegular() && a.Mode&0o444 != 0 {
			if _, err := w.Read(name); err != nil && err != linux.EINVAL {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
	if seen < 80 {
		t.Errorf("only %d names", seen)
	}
	for name, want := range map[string]string{
		"devices/system/cpu/online":                           "0-1\n",
		"devices/system/cpu/cpu1/topology/core_id":            "1\n",
		"devices/system/cpu/cpu1/topology/thread_siblings":    "2\n",
		"devices/system/cpu/cpu0/topology/core_siblings_list": "0-1\n",
		"devices/system/node/node0/cpumap":                    "3\n",
		"kernel/mm/transparent_hugepage/hpage_pmd_size":       "2097152\n",
		"devices/system/cpu/cpu0/node0/distance":              "10\n",
	} {
		if got, err := w.Read("/sys/" + name); err != nil || got != want {
			t.Errorf("%s: %q %v", name, got, err)
		}
	}
	if got, _ := w.Read("/sys/kernel/mm/transparent_hugepage/enabled"); !strings.Contains(got, "[never]") {
		t.Error(got)
	}
	if _, err := w.Read("/sys/devices/system/cpu/cpu2"); err != linux.ENOENT {
		t.Error(err)
	}
}
