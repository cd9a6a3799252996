package tty

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"garrison/sentry/linux"
	"garrison/sentry/usermem"
)

// A hostPty is a pseudoterminal of the machine under the test: what a line does
// is right if that does it too.
type hostPty struct{ master, slave int }

func newHostPty(t testing.TB) hostPty {
	m, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Skip("no pseudoterminals here: ", err)
	}
	t.Cleanup(func() { unix.Close(m) })
	n, err := unix.IoctlGetInt(m, unix.TIOCGPTN)
	if err != nil {
		t.Skip(err)
	}
	if err := unix.IoctlSetPointerInt(m, unix.TIOCSPTLCK, 0); err != nil {
		t.Skip(err)
	}
	s, err := unix.Open(fmt.Sprintf("/dev/pts/%d", n), unix.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { unix.Close(s) })
	return hostPty{m, s}
}

func (h hostPty) set(t testing.TB, m linux.Termios2) {
	var u unix.Termios
	u.Iflag, u.Oflag, u.Cflag, u.Lflag, u.Line = m.Iflag, m.Oflag, m.Cflag, m.Lflag, m.Line
	copy(u.Cc[:], m.Cc[:])
	if err := unix.IoctlSetTermios(h.slave, unix.TCSETS, &u); err != nil {
		t.Fatal(err)
	}
}

// settled reads all there is on fd, n bytes at a time. The host moves bytes between
// the two ends in a thread of its own, which a busy machine may let wait for long:
// what is expected is waited for.
func settled(fd, n int, want []string) []string {
	return reads(fd, n, func(out []string) bool { return join(out) == join(want) && len(out) >= len(want) })
}

// drained is settled for what comes after a rest that nobody expects.
func drained(fd int, want string) {
	reads(fd, 4096, func(out []string) bool { return strings.HasSuffix(join(out), want) })
}

func reads(fd, n int, enough func([]string) bool) (out []string) {
	buf := make([]byte, n)
	for begin := time.Now(); ; {
		k, err := unix.Read(fd, buf)
		if err == nil {
			out = append(out, string(buf[:k]))
			continue
		}
		if enough(out) || time.Since(begin) > 5*time.Second {
			return out
		}
		time.Sleep(100 * time.Microsecond)
	}
}

// one is the reads of all of s at once: none if there is nothing.
func one(s string) []string {
	if s == "" {
		return nil
	}
	return []string{s}
}

// modes is the default with changes.
func modes(f func(*linux.Termios2)) linux.Termios2 {
	m := defaultTermios()
	if f != nil {
		f(&m)
	}
	return m
}

var modeCases = map[string]linux.Termios2{
	"default":  modes(nil),
	"noecho":   modes(func(m *linux.Termios2) { m.Lflag &^= linux.ECHO }),
	"echonl":   modes(func(m *linux.Termios2) { m.Lflag = m.Lflag&^linux.ECHO | linux.ECHONL }),
	"noechoe":  modes(func(m *linux.Termios2) { m.Lflag &^= linux.ECHOE }),
	"noechoke": modes(func(m *linux.Termios2) { m.Lflag &^= linux.ECHOKE }),
	"noechok":  modes(func(m *linux.Termios2) { m.Lflag &^= linux.ECHOK }),
	"noctl":    modes(func(m *linux.Termios2) { m.Lflag &^= linux.ECHOCTL }),
	"echoprt":  modes(func(m *linux.Termios2) { m.Lflag |= linux.ECHOPRT; m.Iflag |= linux.IUTF8 }),
	"utf8":     modes(func(m *linux.Termios2) { m.Iflag |= linux.IUTF8 }),
	"inlcr":    modes(func(m *linux.Termios2) { m.Iflag |= linux.INLCR }),
	"igncr":    modes(func(m *linux.Termios2) { m.Iflag |= linux.IGNCR }),
	"istrip":   modes(func(m *linux.Termios2) { m.Iflag |= linux.ISTRIP }),
	"iuclc":    modes(func(m *linux.Termios2) { m.Iflag |= linux.IUCLC; m.Oflag |= linux.OLCUC }),
	"noicrnl":  modes(func(m *linux.Termios2) { m.Iflag &^= linux.ICRNL }),
	"parmrk":   modes(func(m *linux.Termios2) { m.Iflag |= linux.PARMRK }),
	"noiexten": modes(func(m *linux.Termios2) { m.Lflag &^= linux.IEXTEN }),
	"noisig":   modes(func(m *linux.Termios2) { m.Lflag &^= linux.ISIG }),
	"noflsh":   modes(func(m *linux.Termios2) { m.Lflag |= linux.NOFLSH }),
	"ixany":    modes(func(m *linux.Termios2) { m.Iflag |= linux.IXANY }),
	"noixon":   modes(func(m *linux.Termios2) { m.Iflag &^= linux.IXON }),
	"eol":      modes(func(m *linux.Termios2) { m.Cc[linux.VEOL] = ';'; m.Cc[linux.VEOL2] = ',' }),
	"cbreak":   modes(func(m *linux.Termios2) { m.Lflag &^= linux.ICANON }),
	"cbreak-noecho": modes(func(m *linux.Termios2) {
		m.Lflag &^= linux.ICANON | linux.ECHO
	}),
	"raw": modes(func(m *linux.Termios2) {
		m.Iflag, m.Lflag, m.Oflag = 0, 0, 0
	}),
	"noopost": modes(func(m *linux.Termios2) { m.Oflag &^= linux.OPOST }),
	"xtabs":   modes(func(m *linux.Termios2) { m.Oflag |= linux.XTABS }),
	"ocrnl":   modes(func(m *linux.Termios2) { m.Oflag = linux.OPOST | linux.OCRNL; m.Iflag &^= linux.ICRNL }),
	"onocr":   modes(func(m *linux.Termios2) { m.Oflag = linux.OPOST | linux.ONOCR; m.Iflag &^= linux.ICRNL }),
	"onlret":  modes(func(m *linux.Termios2) { m.Oflag = linux.OPOST | linux.ONLRET | linux.ONOCR }),
	"extproc": modes(func(m *linux.Termios2) { m.Lflag |= linux.EXTPROC }),
}

var typed = []string{
	"hello\n",
	"two\nlines\nrest",
	"abc\x7fd\n",
	"abc def  ghi\x17\x17x\n",
	"kill me\x15again\n",
	"tab\there\x7f\x7f\x7f\x7f\x7f\x7f\n",
	"a\tb\tc\x17\x17\x17\x17\n",
	"ctl\x01\x02\x7f\x7f\x7f\n",
	"eof\x04more\x04\x04",
	"\x04",
	"lit\x16\x03\x16\x7f\x16\x16\n",
	"re\x12print\n",
	"intr\x03after\n",
	"quit\x1cafter\x1a\n",
	"stop\x13held\x11on\n",
	"stop\x13any\n",
	"cr\rlf\ncrlf\r\n",
	"\xc3\xa4\xc3\xb6\x7f\xe2\x82\xac\x7f\x7f\x7f\n",
	"\xe2\x82\xac word\xc3\x9f\x17\x17\n",
	"\xff\xffx\n",
	"semi;colon,comma\n",
	"UPPER lower\n",
	"\x7f\x15\x17\x12\n",
	"\x00nul\x00\n",
}

// TestInputAsOnHost types the same at a line and at the host's and compares the
// reads and the echo.
func TestInputAsOnHost(t *testing.T) {
	for name, m := range modeCases {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // most of it is waiting
			h := newHostPty(t)
			h.set(t, m)
			l := newLine()
			l.setTermios(m)
			for i, text := range typed {
				compareTyped(t, h, l, text, []int{100, 4}[i%2])
				reset(h, l)
			}
		})
	}
}

func compareTyped(t *testing.T, h hostPty, l *line, text string, size int) {
	if _, err := unix.Write(h.master, []byte(text)); err != nil {
		t.Fatal(err)
	}
	l.receive([]byte(text))
	got, echo := drain(l, size), echoed(l)
	if want := join(settled(h.master, 4096, one(echo))); echo != want {
		t.Errorf("typed %q: echo %q, Linux has %q", text, echo, want)
	}
	if want := settled(h.slave, size, got); fmt.Sprintf("%q", got) != fmt.Sprintf("%q", want) {
		t.Errorf("typed %q, reads of %d: got %q, Linux has %q", text, size, got, want)
	}
}

// reset brings both to the start of a line with nothing waiting.
func reset(h hostPty, l *line) {
	unix.IoctlSetInt(h.slave, unix.TCXONC, linux.TCOON)
	unix.IoctlSetInt(h.slave, unix.TCFLSH, linux.TCIOFLUSH)
	l.start()
	l.flushInput()
	l.flushOutput()
	for _, text := range []string{"\x11\n\n"} {
		unix.Write(h.master, []byte(text))
		l.receive([]byte(text))
		in, echo := drain(l, 4096), echoed(l)
		drained(h.master, echo)
		drained(h.slave, join(in))
	}
	unix.Write(h.slave, []byte("\r\n"))
	l.write([]byte("\r\n"))
	drained(h.master, echoed(l))
}

func drain(l *line, size int) (out []string) {
	buf := make([]byte, size)
	for {
		n, ok := l.read(buf)
		if !ok {
			return out
		}
		out = append(out, string(buf[:n]))
	}
}

func echoed(l *line) string {
	buf := make([]byte, 1<<16)
	return string(buf[:l.takeOut(buf)])
}

func join(s []string) (out string) {
	for _, p := range s {
		out += p
	}
	return out
}

func TestOutputAsOnHost(t *testing.T) {
	texts := []string{"plain\n", "a\tb\tc\n", "\r\n\r", "x\b\b\ty\n", "\x1b[1m\xc3\xa4\tq\n", "abc\rdef\r\n\tz\n", "\n\n"}
	for name, m := range modeCases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHostPty(t)
			h.set(t, m)
			l := newLine()
			l.setTermios(m)
			for _, text := range texts {
				unix.Write(h.slave, []byte(text))
				l.write([]byte(text))
				got := echoed(l)
				if want := join(settled(h.master, 4096, one(got))); got != want {
					t.Errorf("wrote %q: got %q, Linux has %q", text, got, want)
				}
			}
		})
	}
}

// TestFullLine types lines longer than there is room for.
func TestFullLine(t *testing.T) {
	for name, m := range map[string]linux.Termios2{"canonical": modeCases["noecho"], "raw": modeCases["raw"]} {
		h := newHostPty(t)
		h.set(t, m)
		l := newLine()
		l.setTermios(m)
		text := append(bytes.Repeat([]byte("0123456789"), 450), "tail\nnext\n"...)
		unix.Write(h.master, text)
		l.receive(text)
		got := drain(l, 3000)
		want := settled(h.slave, 3000, one(join(got)))
		if name == "raw" { // the host refills when it gets to it
			got, want = []string{join(got)}, []string{join(want)}
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: got %d reads %.40q…, Linux has %d %.40q…", name, len(got), got, len(want), want)
		}
	}
}

// TestModeSwitch changes ICANON with input waiting.
func TestModeSwitch(t *testing.T) {
	h := newHostPty(t)
	l := newLine()
	step := func(m linux.Termios2, text string) {
		h.set(t, m)
		l.setTermios(m)
		unix.Write(h.master, []byte(text))
		l.receive([]byte(text))
		settled(h.master, 4096, one(echoed(l)))
	}
	check := func() {
		t.Helper()
		n, err := unix.IoctlGetInt(h.slave, unix.TIOCINQ)
		if got := l.queued(); err != nil || got != n {
			t.Errorf("FIONREAD %d, Linux has %d %v", got, n, err)
		}
		got := drain(l, 100)
		if want := settled(h.slave, 100, got); fmt.Sprintf("%q", got) != fmt.Sprintf("%q", want) {
			t.Errorf("got %q, Linux has %q", got, want)
		}
	}
	step(modeCases["default"], "half")
	step(modeCases["cbreak"], "more")
	check()
	step(modeCases["cbreak"], "raw\nbytes")
	step(modeCases["default"], "")
	check()
	step(modeCases["default"], "x\ny\x04z")
	step(modeCases["cbreak"], "")
	check()
	step(modeCases["default"], "x\x04y\n\x04")
	check()
}

func TestSignals(t *testing.T) {
	l := newLine()
	l.receive([]byte("a\x03b\x1cc\x1ad\n"))
	if fmt.Sprint(l.sigs) != fmt.Sprint([]linux.Signal{linux.SIGINT, linux.SIGQUIT, linux.SIGTSTP}) {
		t.Fatal(l.sigs)
	}
	if got := drain(l, 10); fmt.Sprint(got) != "[d\n]" {
		t.Fatalf("%q", got)
	}
}

func TestPacketStatus(t *testing.T) {
	l := newLine()
	l.packet = true
	l.receive([]byte{'S' - 64})
	if l.status != linux.TIOCPKT_STOP {
		t.Fatal(l.status)
	}
	l.receive([]byte{'Q' - 64})
	if l.status != linux.TIOCPKT_START {
		t.Fatal(l.status)
	}
	l.status = 0
	l.setTermios(modes(func(m *linux.Termios2) { m.Iflag &^= linux.IXON }))
	if l.status != linux.TIOCPKT_NOSTOP {
		t.Fatal(l.status)
	}
}

func TestRoom(t *testing.T) {
	l := newLine()
	l.setTermios(modeCases["raw"])
	big := make([]byte, 1<<16)
	if n := l.write(big); n != outputMax {
		t.Fatal(n)
	}
	if n := l.write(big); n != 0 {
		t.Fatal(n)
	}
	if n := l.receive(big); n != inputSize-1+lateMax {
		t.Fatal(n)
	}
	if total := len(join(drain(l, 1000))); total != inputSize-1+lateMax {
		t.Fatal(total)
	}
	if n := l.takeOut(big); n != outputMax || l.room() != outputMax {
		t.Fatal(n, l.room())
	}
}

func BenchmarkEcho(b *testing.B) {
	l := newLine()
	text, buf := []byte("the quick brown fox\n"), make([]byte, 100)
	for b.Loop() {
		l.receive(text)
		l.read(buf)
		l.takeOut(buf)
	}
}

// FuzzLine types and switches at random: whatever happens, nothing is read that
// was not typed, and the queues stay bounded.
func FuzzLine(f *testing.F) {
	for _, s := range typed {
		f.Add([]byte(s), uint32(0), uint32(0x8a3b), uint32(5))
	}
	f.Fuzz(func(t *testing.T, text []byte, in, local, out uint32) {
		l := newLine()
		l.receive(text)
		l.setTermios(modes(func(m *linux.Termios2) { m.Iflag, m.Lflag, m.Oflag = in, local, out }))
		for range 3 {
			l.receive(text)
			l.write(text)
			drain(l, 7)
			if l.out.len() > outputMax+2*echoMax || l.echoes.len() > echoMax || l.in.count() > inputSize {
				t.Fatal(l.out.len(), l.echoes.len(), l.in.count())
			}
		}
	})
}

func TestLayout(t *testing.T) {
	if n := len(usermem.AsBytes(&linux.Termios{})); n != 36 {
		t.Fatal(n)
	}
	if n := len(usermem.AsBytes(&linux.Termios2{})); n != 44 {
		t.Fatal(n)
	}
	if n := len(usermem.AsBytes(&linux.Termio{})); n != 18 {
		t.Fatal(n)
	}
}
