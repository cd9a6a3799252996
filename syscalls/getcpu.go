package syscalls

import (
	"garrison/sentry/kernel"
	"garrison/sentry/usermem"
)

// getcpu implements getcpu(2): a processor that the thread may run on.
func getcpu(t *kernel.Task, cpu, node usermem.Ptr[uint32]) (int, error) {
	if cpu != 0 {
		n := t.CPU()
		if err := cpu.Store(t, &n); err != nil {
			return 0, err
		}
	}
	if node != 0 {
		var zero uint32
		return 0, node.Store(t, &zero)
	}
	return 0, nil
}
