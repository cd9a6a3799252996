package gofer

import (
	"sync"
	"sync/atomic"
)

// maxHelpers bounds the threads that help with requests, over all. Who asked waits for the
// reply: the processors that it had are free meanwhile.
const maxHelpers = 3

// help has do done by another thread, unless as many as may help do so already.
func (s *server) help(wait *sync.WaitGroup, do func()) bool {
	if s.helping.Add(1) > int64(s.helpers) {
		s.helping.Add(-1)
		return false
	}
	wait.Go(func() {
		defer s.helping.Add(-1)
		do()
	})
	return true
}

// each calls do for 0 to n - 1, some at a time by each of several threads: for so many or
// more a helper is worth its waking.
func (s *server) each(n, worth, some int, do func(i int)) {
	var next atomic.Int64
	work := func() {
		for {
			end := int(next.Add(int64(some)))
			for i := end - some; i < min(end, n); i++ {
				do(i)
			}
			if end >= n {
				return
			}
		}
	}
	var helpers sync.WaitGroup
	for more := n/worth - 1; more > 0 && s.help(&helpers, work); more-- {
	}
	work()
	helpers.Wait()
}
