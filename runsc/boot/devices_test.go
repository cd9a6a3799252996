package boot

import (
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
)

func TestDeviceRules(t *testing.T) {
	seven, zero, any := int64(7), int64(0), int64(-1)
	deny := specs.LinuxDeviceCgroup{Access: "rwm"}
	all := specs.LinuxDeviceCgroup{Allow: true, Access: "rwm"}
	make7 := specs.LinuxDeviceCgroup{Allow: true, Type: "b", Access: "m"}
	loops := specs.LinuxDeviceCgroup{Allow: true, Type: "b", Major: &seven, Minor: &any, Access: "rwm"}
	loop0 := specs.LinuxDeviceCgroup{Allow: true, Type: "b", Major: &seven, Minor: &zero, Access: "r"}
	noWrite := specs.LinuxDeviceCgroup{Type: "b", Major: &seven, Access: "w"}
	type rules []specs.LinuxDeviceCgroup
	for i, c := range []struct {
		rules rules
		use   deviceUse
		want  bool
	}{
		{nil, deviceUse{"b", 7, 0, "r"}, false},
		{rules{deny, make7}, deviceUse{"b", 7, 0, "r"}, false},
		{rules{all}, deviceUse{"b", 7, 3, "rw"}, true},
		{rules{deny, loops}, deviceUse{"b", 7, 3, "rw"}, true},
		{rules{deny, loops}, deviceUse{"c", 7, 3, "r"}, false},
		{rules{deny, loops}, deviceUse{"b", 8, 3, "r"}, false},
		{rules{deny, loop0}, deviceUse{"b", 7, 0, "r"}, true},
		{rules{deny, loop0}, deviceUse{"b", 7, 0, "rw"}, false},
		{rules{deny, loop0}, deviceUse{"b", 7, 1, "r"}, false},
		{rules{all, noWrite}, deviceUse{"b", 7, 1, "r"}, true},
		{rules{all, noWrite}, deviceUse{"b", 7, 1, "rw"}, false},
		{rules{loops, {}}, deviceUse{"b", 7, 1, "r"}, false},
	} {
		if got := c.use.allowed(c.rules); got != c.want {
			t.Errorf("%d: %v, want %v", i, got, c.want)
		}
	}
}
