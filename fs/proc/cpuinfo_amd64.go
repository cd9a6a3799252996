package proc

import (
	"fmt"
	"strings"

	"golang.org/x/sys/cpu"

	"garrison/platform/arch"
)

// inventedCPU is a block from what the CPUID instruction says.
func inventedCPU() string {
	_, b, c, d := arch.CPUID(0, 0)
	vendor := make([]byte, 0, 12)
	for _, r := range [...]uint32{b, d, c} {
		vendor = append(vendor, byte(r), byte(r>>8), byte(r>>16), byte(r>>24))
	}
	sig, _, _, _ := arch.CPUID(1, 0)
	family, model := sig>>8&0xf, sig>>4&0xf
	if family == 0xf {
		family += sig >> 20 & 0xff
	}
	if family >= 6 {
		model |= sig >> 12 & 0xf0
	}
	return fmt.Sprintf("processor\t: 0\nvendor_id\t: %s\ncpu family\t: %d\nmodel\t\t: %d\nmodel name\t: %s\n"+
		"stepping\t: %d\ncpu MHz\t\t: 0.000\ncache size\t: 0 KB\nphysical id\t: 0\nsiblings\t: 1\ncore id\t\t: 0\n"+
		"cpu cores\t: 1\napicid\t\t: 0\ninitial apicid\t: 0\nfpu\t\t: yes\nfpu_exception\t: yes\ncpuid level\t: 13\n"+
		"wp\t\t: yes\nflags\t\t: %s\nbugs\t\t:\nbogomips\t: 0.00\nclflush size\t: 64\ncache_alignment\t: 64\n"+
		"address sizes\t: 46 bits physical, 48 bits virtual\npower management:",
		vendor, family, model, brand(), sig&0xf, cpuFlags())
}

// brand is the processor's name for itself.
func brand() string {
	var name []byte
	for leaf := uint32(0x80000002); leaf <= 0x80000004; leaf++ {
		a, b, c, d := arch.CPUID(leaf, 0)
		for _, r := range [...]uint32{a, b, c, d} {
			name = append(name, byte(r), byte(r>>8), byte(r>>16), byte(r>>24))
		}
	}
	return strings.TrimSpace(strings.TrimRight(string(name), "\x00"))
}

// cpuFlags is what every amd64 processor has and what x/sys/cpu can tell of more.
func cpuFlags() string {
	s := "fpu tsc msr pae cx8 apic cmov clflush mmx fxsr sse sse2 syscall nx lm constant_tsc rep_good nopl"
	for _, f := range []struct {
		on   bool
		name string
	}{
		{cpu.X86.HasSSE3, "pni"}, {cpu.X86.HasPCLMULQDQ, "pclmulqdq"}, {cpu.X86.HasSSSE3, "ssse3"}, {cpu.X86.HasFMA, "fma"},
		{cpu.X86.HasCX16, "cx16"}, {cpu.X86.HasSSE41, "sse4_1"}, {cpu.X86.HasSSE42, "sse4_2"}, {cpu.X86.HasPOPCNT, "popcnt"},
		{cpu.X86.HasAES, "aes"}, {cpu.X86.HasOSXSAVE, "xsave"}, {cpu.X86.HasAVX, "avx"}, {cpu.X86.HasRDRAND, "rdrand"},
		{cpu.X86.HasBMI1, "bmi1"}, {cpu.X86.HasAVX2, "avx2"}, {cpu.X86.HasBMI2, "bmi2"}, {cpu.X86.HasERMS, "erms"},
		{cpu.X86.HasAVX512F, "avx512f"}, {cpu.X86.HasAVX512DQ, "avx512dq"}, {cpu.X86.HasRDSEED, "rdseed"},
		{cpu.X86.HasADX, "adx"}, {cpu.X86.HasAVX512BW, "avx512bw"}, {cpu.X86.HasAVX512VL, "avx512vl"},
	} {
		if f.on {
			s += " " + f.name
		}
	}
	return s
}
