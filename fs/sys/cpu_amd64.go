package sys

import "garrison/platform/arch"

// cpuCaches asks leaf 4 (Intel) or 0x8000001d (AMD), which have one layout.
func cpuCaches() (out []cache) {
	leaf := uint32(4)
	if _, b, _, _ := arch.CPUID(0, 0); b == 0x68747541 { // "Auth"
		leaf = 0x8000001d
	}
	kinds := [...]string{1: "Data", 2: "Instruction", 3: "Unified"}
	for i := uint32(0); i < 8; i++ {
		a, b, c, _ := arch.CPUID(leaf, i)
		k := a & 0x1f
		if k == 0 || k > 3 {
			break
		}
		out = append(out, cache{kinds[k], a >> 5 & 7, b&0xfff + 1, b>>22 + 1, c + 1})
	}
	return out
}
