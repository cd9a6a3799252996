package files

import (
	"strconv"
	"testing"
	"time"
)

// patience is how long a guest program may take.
const patience = 20 * time.Minute

// operations is how many of them a random test makes.
func operations(short, whole int) string {
	if long() {
		return strconv.Itoa(whole)
	}
	return strconv.Itoa(short)
}

// TestData writes, reads, maps, cuts and copies files at random: guest/fsx.c.
func TestData(t *testing.T) {
	s := seed(t)
	compare(t, patience, nil, func(dir string) []string {
		return []string{"/bin/fsx", s, operations(8000, 1_000_000), "1", dir}
	})
}

// TestDataThreads does that with four threads, each with files of its own.
func TestDataThreads(t *testing.T) {
	s := seed(t)
	compare(t, patience, nil, func(dir string) []string {
		return []string{"/bin/fsx", s, operations(8000, 1_000_000), "4", dir}
	})
}

// TestDataShared has threads and processes use parts of one file that share pages:
// guest/shared.c.
func TestDataShared(t *testing.T) {
	s := seed(t)
	compare(t, patience, nil, func(dir string) []string {
		return []string{"/bin/shared", s, operations(8000, 1_000_000), "4", dir}
	})
}

// TestNames makes, renames, links and removes names at random, and compares the tree:
// guest/names.c.
func TestNames(t *testing.T) {
	s := seed(t)
	compare(t, patience, nil, func(dir string) []string {
		return []string{"/bin/names", s, operations(5000, 1_000_000), dir}
	})
}
