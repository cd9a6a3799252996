package kernel

// rseqState is what rseq(2) registered. It is the task's own.
type rseqState struct {
	addr uint64
	size uint32
	sig  uint32
}

// rseqResume runs before each return to the guest.
func (t *Task) rseqResume() {}

// dumpCore would write a core file; none is written, and the wait status says so.
func (t *Task) dumpCore(any) bool { return false }

func (t *Task) exitIPC() {}
