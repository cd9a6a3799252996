package kernel

import (
	"cmp"
	"crypto/rand"
	"runtime"
	"slices"
	"strings"
)

func hostCPUs() int { return runtime.NumCPU() }

func sortBy[T any, K cmp.Ordered](s []T, key func(T) K) {
	slices.SortFunc(s, func(a, b T) int { return cmp.Compare(key(a), key(b)) })
}

func hasSlash(s string) bool { return strings.Contains(s, "/") }

// splitPath splits $PATH; an empty element is the working directory.
func splitPath(path string) []string {
	dirs := strings.Split(path, ":")
	for i, d := range dirs {
		if d == "" {
			dirs[i] = "."
		}
	}
	return dirs
}

// Random fills b with bytes that nobody can foretell.
func (k *Kernel) Random(b []byte) { rand.Read(b) }
