package systrap

import "garrison/platform"

// maxFiles is how many descriptors a stub keeps; the least recently used goes.
const maxFiles = 16

// files is what is known of a stub's descriptor table, which only the verifier
// changes, on behalf of the sentry. A File is kept here, and so can't be
// collected and its address reused, for as long as the stub has its descriptor.
type files struct {
	entries [maxFiles]fileEntry // descriptor stubFirstFile + index
	clock   uint64
}

type fileEntry struct {
	file platform.File
	used uint64
}

// find returns the stub's descriptor for f; install says that it has to be put
// there first, in the place of the one that has not been used for longest, and
// empty that the stub has nothing there yet. Those in the set pinned, which must
// not be all, stay.
func (s *files) find(f platform.File, pinned uint32) (fd int, install, empty bool) {
	s.clock++
	oldest := -1
	// From the last on: the first two are not empty in a new stub (mother.clear).
	for i := maxFiles - 1; i >= 0; i-- {
		e := &s.entries[i]
		if e.file == f {
			e.used = s.clock
			return stubFirstFile + i, false, false
		}
		if pinned>>(stubFirstFile+i)&1 == 0 && (oldest < 0 || e.used < s.entries[oldest].used) {
			oldest = i
		}
	}
	fd = stubFirstFile + oldest
	empty = s.entries[oldest].file == nil && fd > motherReport
	s.entries[oldest] = fileEntry{f, s.clock}
	return fd, true, empty
}
