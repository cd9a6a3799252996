package sandbox

import (
	"golang.org/x/sys/unix"

	"garrison/platform/script"
)

// shortenTurns asks the host's scheduler for short turns, for this process and
// all it will make: stubs, too. Who has them gets no more of the processors, but
// when it wakes up, it needs not wait until another's turn is over, which beside a
// neighbour that computes takes milliseconds. An execve, in which half a dozen
// threads wake each other, costs twice as much without. Linux before 6.12 ignores it.
func shortenTurns(s *script.Script) {
	const size, runtime = unix.SizeofSchedAttr, 24 // of struct sched_attr, the offset
	const shortest = 100_000                       // ns, see sched_setattr(2)
	zero := script.Int(0)
	attr := s.Buffer(size)
	given := s.NewLabel()
	s.Call("sched_getattr", unix.SYS_SCHED_GETATTR, zero, attr.At(0), script.Int(size), zero).OnError(given)
	s.Store64(attr.At(runtime), script.Int(shortest))
	s.Call("sched_setattr", unix.SYS_SCHED_SETATTR, zero, attr.At(0), zero).Keep()
	s.Place(given)
}
