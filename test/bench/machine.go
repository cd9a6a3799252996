package main

import (
	"fmt"
	"os"
	goruntime "runtime"
	"strings"
	"syscall"

	"garrison/test/bench/report"
)

// machine is this host.
func machine() report.Machine {
	m := report.Machine{CPUs: goruntime.NumCPU(), CPU: "unknown"}
	cpuinfo, _ := os.ReadFile("/proc/cpuinfo")
	for l := range strings.Lines(string(cpuinfo)) {
		key, value, _ := strings.Cut(l, ":")
		switch value = strings.TrimSpace(value); strings.TrimSpace(key) {
		case "model name":
			m.CPU = value
		case "flags":
			for _, f := range strings.Fields(value) {
				m.Virtual = m.Virtual || f == "hypervisor"
			}
		}
	}
	if kib, err := field("/proc/meminfo", "MemTotal:"); err == nil {
		m.Memory = fmt.Sprintf("%.0f GiB", kib/(1<<20))
	}
	var u syscall.Utsname
	if syscall.Uname(&u) == nil {
		for _, c := range u.Release {
			if c == 0 {
				break
			}
			m.Kernel += string(rune(c))
		}
	}
	return m
}
