package filter

import (
	"testing"

	"golang.org/x/sys/unix"
)

// TestOptions: rules for several options allow those and no others.
func TestOptions(t *testing.T) {
	var l []Option
	for _, n := range []int32{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 14, 32, 33, 34, 35} {
		l = append(l, Option{unix.SOL_IP, n})
	}
	l = append(l, Option{unix.SOL_SOCKET, 2}, Option{unix.SOL_TCP, 36}, Option{unix.SOL_TCP, 37}, Option{unix.SOL_IPV6, 38})
	want := []string{
		"setsockopt(*, == 0, == 0x1)",
		"setsockopt(*, == 0, & 0xfffffffffffffffe == 0x2)",
		"setsockopt(*, == 0, & 0xfffffffffffffffc == 0x4)",
		"setsockopt(*, == 0, & 0xfffffffffffffffe == 0x8)",
		"setsockopt(*, == 0, == 0xa)",
		"setsockopt(*, == 0, == 0xe)",
		"setsockopt(*, == 0, & 0xfffffffffffffffc == 0x20)",
		"setsockopt(*, == 0x6, & 0xfffffffffffffffe == 0x24)",
		"setsockopt(*, == 0x29, == 0x26)",
	}
	got := options("setsockopt", unix.SYS_SETSOCKOPT, l)
	for i, c := range got {
		if i >= len(want) || c.String() != want[i] {
			t.Error(c.String())
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d rules, want %d", len(got), len(want))
	}
}
