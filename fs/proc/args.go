package proc

import (
	"bytes"
	"encoding/binary"

	"garrison/sentry/linux"
	"garrison/sentry/vfs"
)

// argsMost is what is shown of arguments and environment: execve(2) allows less.
const argsMost = 32 << 20

// showCmdline is /proc/pid/cmdline.
func showCmdline(p *process, _ vfs.Ctx, w *bytes.Buffer) error {
	m := p.memory()
	if m == nil {
		return nil
	}
	defer m.DecUsers()
	w.Write(m.Arguments(argsMost))
	return nil
}

// showEnviron is /proc/pid/environ.
func showEnviron(p *process, _ vfs.Ctx, w *bytes.Buffer) error {
	m := p.memory()
	if m == nil {
		return nil
	}
	defer m.DecUsers()
	w.Write(m.Environment(argsMost))
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
	p.task().Rename(string(data))
	return nil
}
