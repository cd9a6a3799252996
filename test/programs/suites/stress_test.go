package suites

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// TestStress runs stress-ng --verify: every stressor of the classes that are about a kernel, alone.
func TestStress(t *testing.T) {
	s := suite{
		name:  "stress-ng",
		all:   strings.Fields("pipe interrupt io memory scheduler vm filesystem os"),
		taste: strings.Fields("pipe.splice interrupt.timer memory.mremap scheduler.futex filesystem.dentry os.epoll"),
		each:  time.Minute,
		limit: 15 * time.Minute,
		bound: bounds,
	}
	s.run(t)
}

// bounds keeps stressors from the rest of the machine, runc's most of all: no
// file of its kernel to write to, no device, a limit of memory and tasks.
func bounds(s *specs.Spec) {
	memory, tasks := int64(3<<30), int64(4000)
	s.Linux.CgroupsPath = fmt.Sprintf("/garrison-stress-ng-%d", os.Getpid())
	s.Linux.Resources = &specs.LinuxResources{
		Devices: []specs.LinuxDeviceCgroup{{Allow: false, Access: "rwm"}},
		Memory:  &specs.LinuxMemory{Limit: &memory},
		Pids:    &specs.LinuxPids{Limit: &tasks},
	}
	s.Linux.ReadonlyPaths = strings.Fields("/proc/bus /proc/fs /proc/irq /proc/sys /proc/sysrq-trigger")
	s.Linux.MaskedPaths = strings.Fields("/proc/acpi /proc/kcore /proc/keys /proc/timer_list /proc/sched_debug /proc/scsi /sys/firmware")
	s.Process.Rlimits = append(s.Process.Rlimits, specs.POSIXRlimit{Type: "RLIMIT_AS", Soft: 1 << 30, Hard: 1 << 30})
}
