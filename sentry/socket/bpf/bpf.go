// Package bpf is the programs that sockets have look at what comes: SO_ATTACH_FILTER of
// socket(7), in the language of classic BPF's machine.
package bpf

import "garrison/sentry/linux"

// A Program is one for classic BPF's machine that has been checked, <linux/filter.h>: it says
// how many bytes of a packet a socket gets. It never changes.
type Program []linux.SockFilter

// Parts of an instruction's code, <linux/bpf_common.h>.
const (
	classMask                                            = 7
	ld, ldx, st, stx, alu, jmp, ret, misc                = 0, 1, 2, 3, 4, 5, 6, 7
	sizeMask, word, half, octet                          = 0x18, 0x00, 0x08, 0x10
	modeMask, imm, abs, ind, mem, length, headerLength   = 0xe0, 0x00, 0x20, 0x40, 0x60, 0x80, 0xa0
	opMask                                               = 0xf0
	add, sub, mul, div, or, and, lsh, rsh, neg, mod, xor = 0x00, 0x10, 0x20, 0x30, 0x40, 0x50, 0x60, 0x70, 0x80, 0x90, 0xa0
	always, equal, greater, notLess, common              = 0x00, 0x10, 0x20, 0x30, 0x40
	fromX, retA                                          = 0x08, 0x10
	txa                                                  = 0x80
	memWords                                             = 16
)

// New checks a program: EINVAL if it is empty, too long, has an instruction that there
// is not, could leave its end, divide by the constant zero, or read scratch memory that it
// has not written.
func New(source []linux.SockFilter) (Program, error) {
	n := len(source)
	if n == 0 || n > linux.BPF_MAXINSNS || source[n-1].Code&classMask != ret {
		return nil, linux.EINVAL
	}
	written := make([]uint16, n+1) // on all ways to an instruction
	for i := range written {
		written[i] = 0xffff
	}
	written[0] = 0
	for pc, s := range source {
		if !valid(s) {
			return nil, linux.EINVAL
		}
		w, left := written[pc], uint32(n-pc-1)
		switch class := s.Code & classMask; {
		case class == st || class == stx:
			w |= 1 << s.K
		case class <= ldx && s.Code&modeMask == mem && w>>s.K&1 == 0:
			return nil, linux.EINVAL
		case class == jmp && s.Code&opMask == always:
			if s.K >= left {
				return nil, linux.EINVAL
			}
			written[pc+1+int(s.K)] &= w
			continue
		case class == jmp:
			if uint32(s.JT) >= left || uint32(s.JF) >= left {
				return nil, linux.EINVAL
			}
			written[pc+1+int(s.JT)] &= w
			written[pc+1+int(s.JF)] &= w
			continue
		case class == ret:
			continue
		}
		written[pc+1] &= w
	}
	return append(Program(nil), source...), nil
}

// valid reports whether there is such an instruction, wherever it stands.
func valid(s linux.SockFilter) bool {
	switch s.Code & classMask {
	case ld:
		return validLoad(s)
	case ldx:
		switch s.Code {
		case ldx | imm, ldx | length, ldx | headerLength | octet:
			return true
		case ldx | mem:
			return s.K < memWords
		}
	case st, stx:
		return s.Code>>3 == 0 && s.K < memWords
	case alu:
		switch op := s.Code & opMask; {
		case s.Code > 0xff || op > xor:
			return false
		case op == neg:
			return s.Code&fromX == 0
		case s.Code&fromX != 0:
			return true
		case op == div || op == mod:
			return s.K != 0
		case op == lsh || op == rsh:
			return s.K < 32
		}
		return true
	case jmp:
		op := s.Code & opMask
		return s.Code <= 0xff && (op == always && s.Code&fromX == 0 || op >= equal && op <= common)
	case ret:
		return s.Code == ret || s.Code == ret|retA
	case misc:
		return s.Code == misc || s.Code == misc|txa
	}
	return false
}

// validLoad is valid for an instruction that loads A.
func validLoad(s linux.SockFilter) bool {
	switch s.Code &^ sizeMask {
	case ld | abs:
		return s.Code&sizeMask != sizeMask && (s.K < linux.SKF_AD_OFF || known(s.K-linux.SKF_AD_OFF))
	case ld | ind:
		return s.Code&sizeMask != sizeMask
	case ld | mem:
		return s.Code&sizeMask == word && s.K < memWords
	}
	return s.Code == ld|imm || s.Code == ld|length
}

// known reports whether the machine knows something of a packet that is not in it.
func known(what uint32) bool {
	switch what {
	case linux.SKF_AD_PROTOCOL, linux.SKF_AD_PKTTYPE, linux.SKF_AD_IFINDEX, linux.SKF_AD_HATYPE, linux.SKF_AD_CPU,
		linux.SKF_AD_VLAN_TAG, linux.SKF_AD_VLAN_TAG_PRESENT, linux.SKF_AD_VLAN_TPID:
		return true
	}
	return false
}

// A Packet is what a program looks at.
type Packet struct {
	Data []byte
	// Link, Network and At are where in Data the headers of link and network begin, and
	// what is at the program's offset 0.
	Link, Network, At int
	Protocol          uint16 // ETH_P_*
	Hardware          uint16 // ARPHRD_*, of the link
	Type              uint8  // PACKET_*
	Index             int32  // the link's
}

// about is what p is known to be: known says of what. There are no VLANs beside the data.
func (p *Packet) about(what uint32) uint32 {
	switch what {
	case linux.SKF_AD_PROTOCOL:
		return uint32(p.Protocol)
	case linux.SKF_AD_PKTTYPE:
		return uint32(p.Type)
	case linux.SKF_AD_IFINDEX:
		return uint32(p.Index)
	case linux.SKF_AD_HATYPE:
		return uint32(p.Hardware)
	}
	return 0
}

// load is the bytes at an offset; ok is false if the packet is too short.
func (p *Packet) load(off uint32, size uint16) (n uint32, ok bool) {
	at := int64(off) + int64(p.At)
	switch {
	case off >= linux.SKF_AD_OFF:
		return p.about(off - linux.SKF_AD_OFF), true
	case off >= linux.SKF_NET_OFF:
		at = int64(off-linux.SKF_NET_OFF) + int64(p.Network)
	case off >= linux.SKF_LL_OFF:
		at = int64(off-linux.SKF_LL_OFF) + int64(p.Link)
	}
	width := int64(4)
	switch size {
	case half:
		width = 2
	case octet:
		width = 1
	}
	if at+width > int64(len(p.Data)) {
		return 0, false
	}
	for _, b := range p.Data[at : at+width] {
		n = n<<8 | uint32(b)
	}
	return n, true
}

// Run is how many bytes of v from its At on, at most, are wanted: 0 is none of it.
func (p Program) Run(v *Packet) uint32 {
	var a, x uint32
	var m [memWords]uint32
	for pc := 0; pc < len(p); pc++ {
		s := &p[pc]
		ok := true
		switch s.Code & classMask {
		case ld:
			a, ok = p.loadA(s, v, x, &m)
		case ldx:
			x, ok = p.loadX(s, v, &m)
		case st:
			m[s.K%memWords] = a
		case stx:
			m[s.K%memWords] = x
		case alu:
			a, ok = compute(s, a, x)
		case jmp:
			pc += jump(s, a, x)
		case ret:
			if s.Code&retA != 0 {
				return a
			}
			return s.K
		case misc:
			if s.Code&txa != 0 {
				a = x
			} else {
				x = a
			}
		}
		if !ok {
			return 0
		}
	}
	return 0
}

func (p Program) loadA(s *linux.SockFilter, v *Packet, x uint32, m *[memWords]uint32) (uint32, bool) {
	switch s.Code & modeMask {
	case imm:
		return s.K, true
	case length:
		return uint32(len(v.Data) - v.At), true
	case mem:
		return m[s.K%memWords], true
	case ind:
		return v.load(s.K+x, s.Code&sizeMask)
	}
	return v.load(s.K, s.Code&sizeMask)
}

func (p Program) loadX(s *linux.SockFilter, v *Packet, m *[memWords]uint32) (uint32, bool) {
	switch s.Code & modeMask {
	case imm:
		return s.K, true
	case length:
		return uint32(len(v.Data) - v.At), true
	case mem:
		return m[s.K%memWords], true
	}
	n, ok := v.load(s.K, octet) // the length of IPv4's header
	return n & 0xf * 4, ok
}

// compute is what an arithmetic instruction makes of A; ok is false for a division by zero.
func compute(s *linux.SockFilter, a, x uint32) (n uint32, ok bool) {
	if s.Code&fromX == 0 {
		x = s.K
	}
	switch s.Code & opMask {
	case add:
		return a + x, true
	case sub:
		return a - x, true
	case mul:
		return a * x, true
	case or:
		return a | x, true
	case and:
		return a & x, true
	case xor:
		return a ^ x, true
	case lsh:
		return a << (x % 32), true
	case rsh:
		return a >> (x % 32), true
	case neg:
		return -a, true
	}
	if x == 0 {
		return 0, false
	}
	if s.Code&opMask == mod {
		return a % x, true
	}
	return a / x, true
}

// jump is how many instructions are left out.
func jump(s *linux.SockFilter, a, x uint32) int {
	if s.Code&fromX == 0 {
		x = s.K
	}
	holds := false
	switch s.Code & opMask {
	case always:
		return int(s.K)
	case equal:
		holds = a == x
	case greater:
		holds = a > x
	case notLess:
		holds = a >= x
	case common:
		holds = a&x != 0
	}
	if holds {
		return int(s.JT)
	}
	return int(s.JF)
}
