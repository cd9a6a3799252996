package wire

// currentCPU is the number of the CPU that the caller is on, or was a moment ago:
// good enough for choosing what is likely near.
//
//go:noescape
func currentCPU() int
