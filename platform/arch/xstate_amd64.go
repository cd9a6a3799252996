package arch

// An XState is the extent of the processor's vector and floating-point state,
// as XSAVE lays it out in its standard format.
type XState struct {
	Features uint64 // the components, as XCR0 has them
	Size     int    // bytes of the area that holds them
}

// Components of an XState that have a meaning of their own.
const (
	XFeatureFP    = 1 << 0
	XFeatureSSE   = 1 << 1
	XFeatureTiles = 1 << 18 // AMX's tile data: 8 KiB that a program must ask for
)

// Sizes of the area's fixed parts.
const (
	fxsaveSize  = 512
	xheaderSize = 64
)

// HostXState is what the processor saves for every program: all that the host
// has enabled, without what a program must ask for first (arch_prctl(2),
// ARCH_REQ_XCOMP_PERM). A processor without XSAVE has FXSAVE's 512 bytes.
func HostXState() XState {
	const osxsave = 1 << 27
	if _, _, c, _ := CPUID(1, 0); c&osxsave == 0 {
		return XState{XFeatureFP | XFeatureSSE, fxsaveSize}
	}
	x := XState{xgetbv() &^ XFeatureTiles, fxsaveSize + xheaderSize}
	for i := uint32(2); i < 63; i++ {
		if x.Features>>i&1 != 0 {
			size, offset, _, _ := CPUID(0xd, i)
			x.Size = max(x.Size, int(size+offset))
		}
	}
	return x
}

// CPUID executes the instruction of that name.
func CPUID(leaf, sub uint32) (eax, ebx, ecx, edx uint32)

// xgetbv is XCR0.
func xgetbv() uint64
