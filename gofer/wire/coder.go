package wire

import "encoding/binary"

// A Coder walks the fields of a message in one direction. A short or bad message
// makes it bad, from when on it decodes nothing: a message decodes whole or not at all.
type Coder struct {
	buf []byte
	enc bool
	bad bool
}

// take returns the next n bytes of what is decoded.
func (c *Coder) take(n int) []byte {
	if c.bad || n > len(c.buf) {
		c.bad = true
		return nil
	}
	b := c.buf[:n]
	c.buf = c.buf[n:]
	return b
}

// U8 is an 8-bit field.
func (c *Coder) U8(p *uint8) {
	if c.enc {
		c.buf = append(c.buf, *p)
	} else if b := c.take(1); b != nil {
		*p = b[0]
	}
}

// U16 is a 16-bit field, little-endian like all others.
func (c *Coder) U16(p *uint16) {
	if c.enc {
		c.buf = binary.LittleEndian.AppendUint16(c.buf, *p)
	} else if b := c.take(2); b != nil {
		*p = binary.LittleEndian.Uint16(b)
	}
}

// U32 is a 32-bit field.
func (c *Coder) U32(p *uint32) {
	if c.enc {
		c.buf = binary.LittleEndian.AppendUint32(c.buf, *p)
	} else if b := c.take(4); b != nil {
		*p = binary.LittleEndian.Uint32(b)
	}
}

// U64 is a 64-bit field.
func (c *Coder) U64(p *uint64) {
	if c.enc {
		c.buf = binary.LittleEndian.AppendUint64(c.buf, *p)
	} else if b := c.take(8); b != nil {
		*p = binary.LittleEndian.Uint64(b)
	}
}

// I64 is a signed 64-bit field.
func (c *Coder) I64(p *int64) {
	u := uint64(*p)
	c.U64(&u)
	*p = int64(u)
}

// ID is an id.
func (c *Coder) ID(p *ID) { c.U64((*uint64)(p)) }

// IDs is a list of at most limit ids.
func (c *Coder) IDs(p *[]ID, limit int) { List(c, p, limit, 8, (*Coder).ID) }

// Bool is a truth value: one byte, 0 or 1.
func (c *Coder) Bool(p *bool) {
	if c.enc {
		v := byte(0)
		if *p {
			v = 1
		}
		c.buf = append(c.buf, v)
	} else if b := c.take(1); b != nil {
		*p = b[0] == 1
		c.bad = b[0] > 1
	}
}

// length is the length of something of at most limit elements, each of which takes
// at least size bytes of the message: so nothing is allocated that was not sent.
func (c *Coder) length(n, limit, size int) int {
	u := uint32(n)
	c.U32(&u)
	if c.enc {
		return n
	}
	if c.bad || u > uint32(limit) || int(u)*size > len(c.buf) {
		c.bad = true
		return 0
	}
	return int(u)
}

// Str is a string of at most limit bytes.
func (c *Coder) Str(p *string, limit int) {
	n := c.length(len(*p), limit, 1)
	if c.enc {
		c.buf = append(c.buf, *p...)
	} else if b := c.take(n); b != nil {
		*p = string(b)
	}
}

// Name is one path component. That it is neither empty nor "." nor ".." and
// holds neither a slash nor a NUL is checked where it arrives.
func (c *Coder) Name(p *string) {
	c.Str(p, MaxName)
	if !c.enc && !c.bad && !ValidName(*p) {
		c.bad = true
	}
}

// ValidName reports whether s can be a path component that names an entry of a
// directory: not empty, not too long, neither "." nor "..", no slash and no NUL.
func ValidName(s string) bool {
	if s == "" || s == "." || s == ".." || len(s) > MaxName {
		return false
	}
	for i := range len(s) {
		if s[i] == '/' || s[i] == 0 {
			return false
		}
	}
	return true
}

// Bytes is a byte string of at most limit bytes. What is decoded is a copy.
func (c *Coder) Bytes(p *[]byte, limit int) {
	n := c.length(len(*p), limit, 1)
	if c.enc {
		c.buf = append(c.buf, *p...)
	} else if b := c.take(n); b != nil {
		*p = append([]byte(nil), b...)
	}
}

// View is Bytes; what is decoded is a part of the message.
func (c *Coder) View(p *[]byte, limit int) {
	n := c.length(len(*p), limit, 1)
	if c.enc {
		c.buf = append(c.buf, *p...)
	} else if b := c.take(n); b != nil {
		*p = b
	}
}

// List is a list of at most limit elements, each of at least size bytes.
func List[T any](c *Coder, p *[]T, limit, size int, field func(*Coder, *T)) {
	n := c.length(len(*p), limit, size)
	if !c.enc {
		if c.bad {
			return
		}
		*p = make([]T, n)
	}
	for i := range *p {
		field(c, &(*p)[i])
		if c.bad {
			return
		}
	}
}
