# Terminals: script, stty, less and a shell's job control, driven through a
# pseudoterminal as a user would.
script -qec 'tty | sed s/[0-9]*$/N/; stty -a | head -n 3; stty rows 40 cols 120; stty size' /dev/null </dev/null
cat >/tmp/drive.py <<'END'
import fcntl, os, pty, re, select, struct, sys, termios, time

class Session:
    """A program on a terminal of its own; say what to type, await what it prints."""
    def __init__(self, *args):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 10, 60, 0, 0))
            os.environ.update(TERM="xterm", PS1="$ ", HISTFILE="", LESSHISTFILE="-", INPUTRC="/tmp/inputrc")
            os.execvp(args[0], args)
        self.seen = b""

    def type(self, s):
        os.write(self.fd, s.encode())

    def until(self, pattern):
        while not (m := re.search(pattern.encode(), self.seen)):
            if not select.select([self.fd], [], [], 20)[0]:
                print("nothing comes after", self.seen[-200:])
                sys.exit(1)
            try:
                self.seen += os.read(self.fd, 4096)
            except OSError:
                print("ended after", self.seen[-200:])
                sys.exit(1)
        print(re.sub(rb"\d{2,}", b"N", m.group(0)).decode(errors="replace").strip())
        self.seen = self.seen[m.end():]

    def end(self):
        try:
            while os.read(self.fd, 4096):
                pass
        except OSError as e:
            print("end:", e.strerror)
        print("status", os.waitpid(self.pid, 0)[1])

s = Session("bash", "--norc", "--noprofile", "-i")
s.until(r"\$ ")
def cmd(line, pattern):
    s.type(line + "\n")
    s.until(pattern)
cmd("tty | tr 0-9 N; echo done$((1+1))", r"/dev/pts/N+\s+done2[^$]*\$ ")
s.type("sleep 100\n"); s.until("sleep 100\r\n")
time.sleep(0.3)
s.type("\x1a"); s.until(r"\[1\]\+  Stopped +sleep 100[^$]*\$ ")
cmd("sleep 200 &", r"\[2\] \d+[^$]*\$ ")
cmd("jobs", r"\[1\]\+  Stopped +sleep 100\s+\[2\]-  Running +sleep 200 &[^$]*\$ ")
cmd("bg %1", r"\[1\]\+ sleep 100 &[^$]*\$ ")
s.type("fg %2\n"); s.until("sleep 200\r\n"); time.sleep(0.3)
s.type("\x03"); s.until(r"\^C[^$]*\$ ")
cmd("echo $?", r"130[^$]*\$ ")
s.type("cat\n"); s.until("cat\r\n"); time.sleep(0.3)
s.type("\x1a"); s.until(r"Stopped +cat[^$]*\$ ")
s.type("fg\n"); s.until("cat\r\n")
s.type("to cat\n"); s.until("to cat\r\nto cat\r\n")
s.type("\x04"); s.until(r"\$ ")
cmd("stty tostop; (echo from behind) & sleep 0.3; jobs -s | wc -l; stty -tostop", r"\n1\r\n[^$]*\$ ")
cmd("kill %1 %2; disown -a; trap 'echo resized' WINCH", r"\$ ")
fcntl.ioctl(s.fd, termios.TIOCSWINSZ, struct.pack("HHHH", 20, 70, 0, 0))
cmd("", r"resized[^$]*\$ ")
cmd("stty size", r"20 70[^$]*\$ ")
s.type("exit\n")
s.end()

l = Session("less", "/tmp/numbers")
l.until(r"line 8\b"); l.type("/line 7[0-9]\n"); l.until(r"line 70")
l.type("G"); l.until(r"line 99"); l.type("q"); l.end()

h = Session("bash", "--norc", "-c", "trap 'echo hup >/tmp/hup; exit 3' HUP; read x; echo $x; while :; do sleep 0.1; done")
h.type("word\n"); h.until(r"word\r\nword")
os.close(h.fd)
print("status", os.waitpid(h.pid, 0)[1] >> 8, open("/tmp/hup").read().strip())
END
echo 'set enable-bracketed-paste off' >/tmp/inputrc
seq -f 'line %g' 0 99 >/tmp/numbers
timeout 100 python3 -u /tmp/drive.py
