package netlink

import (
	"encoding/binary"

	"garrison/sentry/linux"
	"garrison/sentry/usermem"
)

// A request is one message from a guest.
type request struct {
	linux.NlMsghdr
	body []byte // after the header
}

// split takes the next request off b. ok is false if what is left is none: as Linux
// does, it is ignored.
func split(b []byte) (r request, rest []byte, ok bool) {
	if len(b) < linux.NlMsghdrLen {
		return r, nil, false
	}
	copy(usermem.AsBytes(&r.NlMsghdr), b)
	if r.Len < linux.NlMsghdrLen || uint64(r.Len) > uint64(len(b)) {
		return r, nil, false
	}
	r.body = b[linux.NlMsghdrLen:r.Len]
	return r, b[min(align(int(r.Len)), len(b)):], true
}

func align(n int) int { return (n + linux.NlAlign - 1) &^ (linux.NlAlign - 1) }

// head reads the fixed structure at the start of a request's body, as much of it as
// is there, and returns the attributes after it.
func head[T any](r *request) (v T, attrs []byte) {
	dst := usermem.AsBytes(&v)
	copy(dst, r.body)
	return v, r.body[min(align(len(dst)), len(r.body)):]
}

// attribute finds an attribute by its type; nil if it is not there.
func attribute(b []byte, typ uint16) []byte {
	for len(b) >= 4 {
		n := int(binary.LittleEndian.Uint16(b))
		if n < 4 || n > len(b) {
			return nil
		}
		if binary.LittleEndian.Uint16(b[2:])&^0xc000 == typ { // without NLA_F_*
			return b[4:n]
		}
		b = b[min(align(n), len(b)):]
	}
	return nil
}

// A reply is messages to a guest, one after another in one buffer.
type reply struct {
	buf  []byte
	open int // where the open message begins
}

// begin starts a message with its fixed structure; end closes it.
func begin[T any](w *reply, h linux.NlMsghdr, v *T) {
	w.open = len(w.buf)
	w.buf = append(w.buf, usermem.AsBytes(&h)...)
	w.buf = append(w.buf, usermem.AsBytes(v)...)
	w.pad()
}

func (w *reply) pad() {
	for len(w.buf)%linux.NlAlign != 0 {
		w.buf = append(w.buf, 0)
	}
}

func (w *reply) end() {
	binary.LittleEndian.PutUint32(w.buf[w.open:], uint32(len(w.buf)-w.open))
	w.pad()
}

// attr adds an attribute.
func (w *reply) attr(typ uint16, data []byte) {
	w.buf = binary.LittleEndian.AppendUint16(w.buf, uint16(4+len(data)))
	w.buf = binary.LittleEndian.AppendUint16(w.buf, typ)
	w.buf = append(w.buf, data...)
	w.pad()
}

func (w *reply) attr8(typ uint16, v uint8) { w.attr(typ, []byte{v}) }

func (w *reply) attr32(typ uint16, v uint32) {
	w.attr(typ, binary.LittleEndian.AppendUint32(nil, v))
}

func (w *reply) attrString(typ uint16, s string) { w.attr(typ, append([]byte(s), 0)) }

// A complaint is an error with words about it, for who wants them (NETLINK_EXT_ACK).
type complaint struct {
	linux.Errno
	text string
}

// failure is NLMSG_ERROR: errno 0 is an acknowledgement. An error repeats the whole
// request unless capped.
func failure(r *request, port uint32, e complaint, capped bool) []byte {
	h := linux.NlMsghdr{Type: linux.NLMSG_ERROR, Seq: r.Seq, PortID: port}
	if capped || e.Errno == 0 {
		h.Flags = linux.NLM_F_CAPPED
	}
	if e.text != "" {
		h.Flags |= linux.NLM_F_ACK_TLVS
	}
	no := -int32(e.Errno)
	var w reply
	begin(&w, h, &no)
	w.buf = append(w.buf, usermem.AsBytes(&r.NlMsghdr)...)
	if !capped && e.Errno != 0 {
		w.buf = append(w.buf, r.body...)
	}
	if e.text != "" {
		w.pad()
		w.attrString(linux.NLMSGERR_ATTR_MSG, e.text)
	}
	w.end()
	return w.buf
}
