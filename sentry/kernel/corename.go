package kernel

import (
	"path"
	"strconv"
	"strings"

	"garrison/sentry/limits"
	"garrison/sentry/linux"
	"garrison/sentry/vfs"
)

// coreName is the core file's name as /proc/sys/kernel/core_pattern has it (core(5)).
// ENOSYS for a pipe or a socket: nobody outside the container could start a program
// for it, and inside it would run as root.
func (t *Task) coreName(s linux.Signal) (string, error) {
	pattern, withPID := t.k.opts.CorePattern()
	if strings.HasPrefix(pattern, "|") || strings.HasPrefix(pattern, "@") {
		return pattern, linux.ENOSYS
	}
	var b strings.Builder
	for i := 0; i < len(pattern); i++ {
		switch {
		case pattern[i] != '%':
			b.WriteByte(pattern[i])
		case i+1 < len(pattern):
			i++
			withPID = withPID && pattern[i] != 'p'
			b.WriteString(t.coreWord(pattern[i], s))
		}
	}
	if withPID {
		b.WriteString("." + strconv.Itoa(int(t.TGID())))
	}
	name := b.String()
	if name == "" {
		return name, linux.ENOENT
	}
	return name, nil
}

// coreWord is what %c stands for; nothing for what is not known.
func (t *Task) coreWord(c byte, s linux.Signal) string {
	host, _ := t.Namespaces().UTS.Names()
	n := func(v int64) string { return strconv.FormatInt(v, 10) }
	cr := t.Creds()
	switch c {
	case '%':
		return "%"
	case 'p':
		return n(int64(t.TGID()))
	case 'P':
		return n(int64(t.tg.pid.numbers[0]))
	case 'i':
		return n(int64(t.TID()))
	case 'I':
		return n(int64(t.pid.numbers[0]))
	case 'u':
		return n(int64(cr.RUID))
	case 'g':
		return n(int64(cr.RGID))
	case 'd':
		return n(int64(t.tg.Dumpable()))
	case 's':
		return n(int64(s))
	case 't':
		return n(t.Now().Sec)
	case 'c':
		return strconv.FormatUint(t.Limit(limits.Core), 10)
	case 'C':
		return n(int64(t.CPU()))
	case 'h':
		return oneName(host)
	case 'e':
		return oneName(t.Name())
	case 'f':
		return oneName(path.Base(t.programPath()))
	case 'E':
		return strings.ReplaceAll(t.programPath(), "/", "!")
	}
	return ""
}

// oneName is s as one component of a path that leads nowhere else.
func oneName(s string) string {
	s = strings.ReplaceAll(s, "/", "!")
	if s == "." || s == ".." {
		return "!" + s[1:]
	}
	return s
}

// programPath is the program that t runs, by its path; its name if it has none.
func (t *Task) programPath() string {
	x := t.space.Load().Executable()
	if x == nil {
		return t.Name()
	}
	defer x.DecRef()
	if d, ok := x.(*vfs.FileDescription); ok {
		return d.MappedName().Path
	}
	return t.Name()
}
