package dev

import (
	"fmt"
	"strings"

	"garrison/sentry/auth"
	"garrison/sentry/kernel"
	"garrison/sentry/linux"
	"garrison/sentry/lock"
	"garrison/sentry/usermem"
	"garrison/sentry/vfs"
)

// A Log is the kernel's messages, for dmesg(1): what a boot of this kernel says.
type Log struct{ lines []string }

// NewLog returns k's messages.
func NewLog(k *kernel.Kernel) *Log {
	return &Log{[]string{
		fmt.Sprintf("Linux version %s (garrison) %s", k.UTSRelease(), k.UTSVersion()),
		fmt.Sprintf("Memory: %dK available", k.Memory()>>10),
		fmt.Sprintf("smp: Brought up 1 node, %d CPUs", k.CPUs()),
		"Run /sbin/init as init process",
	}}
}

// Text is the messages as syslog(2) gives them, with priority and time.
func (l *Log) Text() string {
	var b strings.Builder
	for i, s := range l.lines {
		fmt.Fprintf(&b, "<6>[    0.%06d] %s\n", i*1000, s)
	}
	return b.String()
}

// record is message n as /dev/kmsg gives it.
func (l *Log) record(n int) string { return fmt.Sprintf("6,%d,%d,-;%s\n", n, n*1000, l.lines[n]) }

// kmsg is /dev/kmsg.
type kmsg struct{ log *Log }

// Open implements vfs.Device.
func (k kmsg) Open(c vfs.Ctx, _ vfs.Path, flags linux.OpenFlags) (vfs.File, error) {
	if flags.Readable() && !c.Creds().Capable(auth.CapSyslog) {
		return nil, linux.EPERM
	}
	return &kmsgFile{log: k.log}, nil
}

// A kmsgFile reads one record at a time.
type kmsgFile struct {
	log *Log

	mu   lock.Mutex[lock.Leaf]
	next int // protected by mu
}

// Stream implements vfs.Streamer.
func (*kmsgFile) Stream() {}

// Read implements vfs.File.
func (f *kmsgFile) Read(_ vfs.Ctx, dst usermem.Seq, _ int64) (int64, error) {
	f.mu.Lock()
	n := f.next
	if n >= len(f.log.lines) {
		f.mu.Unlock()
		// Nothing more will ever come: a reader that can wait would wait for ever.
		return 0, linux.EAGAIN
	}
	s := f.log.record(n)
	if int64(len(s)) > dst.Len() {
		f.mu.Unlock()
		return 0, linux.EINVAL
	}
	f.next++
	f.mu.Unlock()
	done, err := dst.CopyOut([]byte(s))
	return int64(done), err
}

// Write implements vfs.File. Messages from programs go nowhere.
func (*kmsgFile) Write(_ vfs.Ctx, src usermem.Seq, _ int64) (int64, error) { return src.Len(), nil }

// Close implements vfs.File.
func (*kmsgFile) Close(vfs.Ctx) {}
