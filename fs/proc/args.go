package proc

import (
	"bytes"
	"encoding/binary"

	"garrison/platform/arch"
	"garrison/sentry/linux"
	"garrison/sentry/mm"
	"garrison/sentry/vfs"
)

// showCmdline is /proc/pid/cmdline. A process that has written over the end of its
// arguments (setproctitle) is shown with one string, which may go on into the
// environment.
func showCmdline(p *process, _ vfs.Ctx, w *bytes.Buffer) error {
	m := p.memory()
	if m == nil {
		return nil
	}
	defer m.DecUsers()
	l := m.Layout()
	args := read(m, l.Args)
	if len(args) == 0 {
		return nil
	}
	if args[len(args)-1] == 0 {
		w.Write(args)
		return nil
	}
	if l.Env.Start == l.Args.End {
		args = append(args, read(m, l.Env)...)
	}
	if i := bytes.IndexByte(args, 0); i >= 0 {
		args = args[:i+1]
	}
	w.Write(args)
	return nil
}

// read is what of r can be read.
func read(m *mm.Space, r arch.Range) []byte {
	const most = 32 << 20 // what execve(2) allows is below
	if r.Len() > most {
		return nil
	}
	b := make([]byte, r.Len())
	n, _ := m.Forced().CopyIn(b, r.Start)
	return b[:n]
}

// showEnviron is /proc/pid/environ.
func showEnviron(p *process, _ vfs.Ctx, w *bytes.Buffer) error {
	m := p.memory()
	if m == nil {
		return nil
	}
	defer m.DecUsers()
	w.Write(read(m, m.Layout().Env))
	return nil
}

// showAuxv is /proc/pid/auxv.
func showAuxv(p *process, _ vfs.Ctx, w *bytes.Buffer) error {
	m := p.memory()
	if m == nil {
		return nil
	}
	defer m.DecUsers()
	end := false
	var b []byte
	for _, e := range m.Layout().Auxv {
		b = binary.LittleEndian.AppendUint64(b, e.Type)
		b = binary.LittleEndian.AppendUint64(b, e.Value)
		if end = e.Type == linux.AT_NULL; end {
			break
		}
	}
	if !end {
		b = append(b, make([]byte, 16)...)
	}
	w.Write(b)
	return nil
}

// showComm is /proc/pid/comm.
func showComm(p *process, _ vfs.Ctx, w *bytes.Buffer) error {
	w.WriteString(p.task().Name() + "\n")
	return nil
}

// storeComm changes a thread's name, for threads of the same process only: EINVAL.
func storeComm(p *process, c vfs.Ctx, data []byte) error {
	if t := caller(c); t != nil && t.ThreadGroup() != p.g {
		return linux.EINVAL
	}
	if i := bytes.IndexByte(data, 0); i >= 0 {
		data = data[:i]
	}
	if len(data) > linux.TaskCommLen-1 {
		data = data[:linux.TaskCommLen-1]
	}
	p.task().SetName(string(bytes.TrimSuffix(data, []byte("\n"))))
	return nil
}
