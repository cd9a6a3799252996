package linux

// Termios is struct termios as the kernel has it (TCGETS): termios(3).
type Termios struct {
	Iflag, Oflag, Cflag, Lflag uint32
	Line                       uint8
	Cc                         [NCCS]uint8
}

// Termios2 is struct termios2 (TCGETS2): Termios and the speeds in bit/s.
type Termios2 struct {
	Termios
	Ispeed, Ospeed uint32
}

// Termio is struct termio (TCGETA), System V's older form.
type Termio struct {
	Iflag, Oflag, Cflag, Lflag uint16
	Line                       uint8
	Cc                         [8]uint8
	_                          uint8
}

// Winsize is struct winsize: the size of a terminal in characters and pixels.
type Winsize struct{ Row, Col, Xpixel, Ypixel uint16 }

// NCCS is the number of control characters in a Termios.
const NCCS = 19

// Indices of Termios.Cc, <asm-generic/termbits.h>.
const (
	VINTR = iota
	VQUIT
	VERASE
	VKILL
	VEOF
	VTIME
	VMIN
	VSWTC
	VSTART
	VSTOP
	VSUSP
	VEOL
	VREPRINT
	VDISCARD
	VWERASE
	VLNEXT
	VEOL2
)

// VDISABLE is the control character that no input byte matches.
const VDISABLE = 0

// Input modes (c_iflag).
const (
	IGNBRK  = 0x0001
	BRKINT  = 0x0002
	IGNPAR  = 0x0004
	PARMRK  = 0x0008
	INPCK   = 0x0010
	ISTRIP  = 0x0020
	INLCR   = 0x0040
	IGNCR   = 0x0080
	ICRNL   = 0x0100
	IUCLC   = 0x0200
	IXON    = 0x0400
	IXANY   = 0x0800
	IXOFF   = 0x1000
	IMAXBEL = 0x2000
	IUTF8   = 0x4000
)

// Output modes (c_oflag).
const (
	OPOST  = 0x0001
	OLCUC  = 0x0002
	ONLCR  = 0x0004
	OCRNL  = 0x0008
	ONOCR  = 0x0010
	ONLRET = 0x0020
	OFILL  = 0x0040
	OFDEL  = 0x0080
	TABDLY = 0x1800
	XTABS  = 0x1800
)

// Control modes (c_cflag).
const (
	CBAUD   = 0x100f
	B0      = 0
	B9600   = 0xd
	B38400  = 0xf
	BOTHER  = 0x1000
	CSIZE   = 0x30
	CS8     = 0x30
	CSTOPB  = 0x40
	CREAD   = 0x80
	PARENB  = 0x100
	PARODD  = 0x200
	HUPCL   = 0x400
	CLOCAL  = 0x800
	CIBAUD  = 0x100f0000
	CRTSCTS = 0x80000000
	// IBSHIFT is how far CIBAUD is shifted from CBAUD.
	IBSHIFT = 16
)

// Local modes (c_lflag).
const (
	ISIG    = 0x00001
	ICANON  = 0x00002
	XCASE   = 0x00004
	ECHO    = 0x00008
	ECHOE   = 0x00010
	ECHOK   = 0x00020
	ECHONL  = 0x00040
	NOFLSH  = 0x00080
	TOSTOP  = 0x00100
	ECHOCTL = 0x00200
	ECHOPRT = 0x00400
	ECHOKE  = 0x00800
	FLUSHO  = 0x01000
	PENDIN  = 0x04000
	IEXTEN  = 0x08000
	EXTPROC = 0x10000
)

// Terminal ioctls, <asm-generic/ioctls.h>: ioctl_tty(2).
const (
	TCGETS            = 0x5401
	TCSETS            = 0x5402
	TCSETSW           = 0x5403
	TCSETSF           = 0x5404
	TCGETA            = 0x5405
	TCSETA            = 0x5406
	TCSETAW           = 0x5407
	TCSETAF           = 0x5408
	TCSBRK            = 0x5409
	TCXONC            = 0x540a
	TCFLSH            = 0x540b
	TIOCEXCL          = 0x540c
	TIOCNXCL          = 0x540d
	TIOCSCTTY         = 0x540e
	TIOCGPGRP         = 0x540f
	TIOCSPGRP         = 0x5410
	TIOCOUTQ          = 0x5411
	TIOCSTI           = 0x5412
	TIOCGWINSZ        = 0x5413
	TIOCSWINSZ        = 0x5414
	TIOCMGET          = 0x5415
	TIOCMBIS          = 0x5416
	TIOCMBIC          = 0x5417
	TIOCMSET          = 0x5418
	TIOCGSOFTCAR      = 0x5419
	TIOCSSOFTCAR      = 0x541a
	TIOCINQ           = 0x541b
	TIOCLINUX         = 0x541c
	TIOCCONS          = 0x541d
	TIOCGSERIAL       = 0x541e
	TIOCSSERIAL       = 0x541f
	TIOCPKT           = 0x5420
	TIOCNOTTY         = 0x5422
	TIOCSETD          = 0x5423
	TIOCGETD          = 0x5424
	TCSBRKP           = 0x5425
	TIOCSBRK          = 0x5427
	TIOCCBRK          = 0x5428
	TIOCGSID          = 0x5429
	TCGETS2           = 0x802c542a
	TCSETS2           = 0x402c542b
	TCSETSW2          = 0x402c542c
	TCSETSF2          = 0x402c542d
	TIOCGPTN          = 0x80045430
	TIOCSPTLCK        = 0x40045431
	TIOCGDEV          = 0x80045432
	TIOCSIG           = 0x40045436
	TIOCVHANGUP       = 0x5437
	TIOCGPKT          = 0x80045438
	TIOCGPTLCK        = 0x80045439
	TIOCGEXCL         = 0x80045440
	TIOCGPTPEER       = 0x5441
	TIOCGLCKTRMIOS    = 0x5456
	TIOCSLCKTRMIOS    = 0x5457
	TIOCPKT_DATA      = 0
	TIOCPKT_FLUSHREAD = 1
)

// What the first byte of a packet-mode read says (TIOCPKT), beside
// TIOCPKT_DATA and TIOCPKT_FLUSHREAD.
const (
	TIOCPKT_FLUSHWRITE = 2
	TIOCPKT_STOP       = 4
	TIOCPKT_START      = 8
	TIOCPKT_NOSTOP     = 16
	TIOCPKT_DOSTOP     = 32
	TIOCPKT_IOCTL      = 64
)

// Arguments of TCFLSH and TCXONC.
const (
	TCIFLUSH  = 0
	TCOFLUSH  = 1
	TCIOFLUSH = 2

	TCOOFF = 0
	TCOON  = 1
	TCIOFF = 2
	TCION  = 3
)

// Line disciplines (TIOCGETD).
const N_TTY = 0

// Device numbers of terminals, Documentation/admin-guide/devices.txt.
const (
	TTY_MAJOR              = 4
	TTYAUX_MAJOR           = 5
	UNIX98_PTY_SLAVE_MAJOR = 136
	// UNIX98_PTY_SLAVE_MAJORS is how many majors the slaves span.
	UNIX98_PTY_SLAVE_MAJORS = 8
)
