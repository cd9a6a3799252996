package socket

import (
	"encoding/binary"

	"garrison/sentry/linux"
	"garrison/sentry/vfs"
)

// A CmsgReader takes a control buffer apart, cmsg(3). It is what a guest sent and
// may be anything.
type CmsgReader struct {
	rest []byte
	err  error
}

// ReadCmsgs begins with the first message in b.
func ReadCmsgs(b []byte) CmsgReader { return CmsgReader{rest: b} }

// Next returns the next message; its Data aliases the buffer. At the end, and at
// a message that is malformed, ok is false.
func (r *CmsgReader) Next() (m Cmsg, ok bool) {
	if len(r.rest) < linux.CmsgHdrLen {
		return m, false
	}
	n := binary.LittleEndian.Uint64(r.rest)
	if n < linux.CmsgHdrLen || n > uint64(len(r.rest)) {
		r.err = linux.EINVAL
		return m, false
	}
	m.Level = int32(binary.LittleEndian.Uint32(r.rest[8:]))
	m.Type = int32(binary.LittleEndian.Uint32(r.rest[12:]))
	m.Data = r.rest[linux.CmsgHdrLen:n]
	r.rest = r.rest[min(CmsgSpace(int(n)), len(r.rest)):]
	return m, true
}

// Err is EINVAL if a malformed message ended the buffer.
func (r *CmsgReader) Err() error { return r.err }

// CmsgSpace is n rounded up to where the next message begins.
func CmsgSpace(n int) int { return (n + linux.CmsgAlign - 1) &^ (linux.CmsgAlign - 1) }

// A CmsgWriter puts control messages into a buffer as long as the guest's.
type CmsgWriter struct {
	buf       []byte
	room      int
	truncated bool
}

// WriteCmsgs begins a buffer that may become room bytes long.
func WriteCmsgs(room int) CmsgWriter { return CmsgWriter{room: room} }

// Room is how many bytes of data the next message may have; negative if not even
// its header fits.
func (w *CmsgWriter) Room() int { return w.room - len(w.buf) - linux.CmsgHdrLen }

// Put appends a message. If it does not fit, what fits of it goes, and Truncated
// holds from then on.
func (w *CmsgWriter) Put(level, typ int32, data []byte) {
	room := w.Room()
	if room < 0 {
		w.truncated = true
		return
	}
	if len(data) > room {
		data, w.truncated = data[:room], true
	}
	n := linux.CmsgHdrLen + len(data)
	w.buf = binary.LittleEndian.AppendUint64(w.buf, uint64(n))
	w.buf = binary.LittleEndian.AppendUint32(w.buf, uint32(level))
	w.buf = binary.LittleEndian.AppendUint32(w.buf, uint32(typ))
	w.buf = append(w.buf, data...)
	for pad := min(CmsgSpace(n)-n, w.room-len(w.buf)); pad > 0; pad-- {
		w.buf = append(w.buf, 0)
	}
}

// SetTruncated says that something was left out.
func (w *CmsgWriter) SetTruncated() { w.truncated = true }

// Truncated reports whether something did not fit: MSG_CTRUNC.
func (w *CmsgWriter) Truncated() bool { return w.truncated }

// Bytes is the buffer.
func (w *CmsgWriter) Bytes() []byte { return w.buf }

// CheckControl judges a control message of level SOL_SOCKET that c gives of what it sends by s.
// None has an effect: there is nothing here that looks at marks and priorities, devices send at
// once, and nobody is told when. EINVAL, EPERM.
func (s *Socket) CheckControl(c vfs.Ctx, m Cmsg) error {
	if m.Type == linux.SO_MARK && !s.overNetwork(c) {
		return linux.EPERM
	}
	size := 4
	if m.Type == linux.SO_TXTIME {
		size = 8
	}
	if len(m.Data) != size {
		return linux.EINVAL
	}
	v := binary.LittleEndian.Uint32(m.Data)
	switch m.Type {
	case linux.SO_MARK:
		return nil
	case linux.SO_PRIORITY:
		return s.mayHavePriority(c, int32(v))
	case linux.SO_TXTIME:
		if s.opts.timed.Load() {
			return nil
		}
	case linux.SO_TIMESTAMPING, linux.SO_TIMESTAMPING_NEW:
		if v&^linux.SOF_TIMESTAMPING_TX_RECORD_MASK == 0 {
			return nil
		}
	}
	return linux.EINVAL
}
