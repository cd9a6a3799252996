package proc

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"garrison/sentry/linux"
	"garrison/sentry/lock"
	"garrison/sentry/vfs"
)

// Params is the kernel's parameters that only need to be remembered: the values
// behind most of /proc/sys. Other parts of the kernel may read them with Int.
type Params struct {
	bootID string
	load   loadAverage

	once  sync.Once
	table []rootEntry // /proc/sys, made when it is first looked at

	mu     lock.Mutex[lock.Leaf]
	values map[string]string // protected by mu: what has been set
}

// NewParams returns the parameters with Linux's defaults.
func NewParams() *Params { return &Params{bootID: newUUID(), values: map[string]string{}} }

// newUUID is a random UUID (RFC 9562, version 4).
func newUUID() string {
	var b [16]byte
	rand.Read(b[:])
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// get is the value of a parameter, def if it has not been set.
func (p *Params) get(path, def string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if v, ok := p.values[path]; ok {
		return v
	}
	return def
}

func (p *Params) set(path, v string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.values[path] = v
}

// Int is a parameter that is one number, by its name below /proc/sys, such as
// "vm/max_map_count"; 0 if there is none of that name.
func (p *Params) Int(path string) int64 {
	n, _ := strconv.ParseInt(strings.TrimSpace(p.Text(path)), 10, 64)
	return n
}

// Text is a parameter as it is shown; "" if there is none of that name.
func (p *Params) Text(path string) string {
	def := ""
	for i := range params {
		if params[i].path == path {
			def = params[i].def
		}
	}
	return p.get(path, def)
}

// A rule says what may be written to a parameter.
type rule struct {
	ro       bool
	text     bool  // any text
	min, max int64 // of each number, unless both are 0
	mode     linux.FileMode
}

var (
	readOnly = rule{ro: true}
	anyInt   = rule{}
	anInt    = rule{min: -1 << 31, max: 1<<31 - 1}
	natural  = rule{max: 1<<63 - 1}
	boolean  = rule{max: 1}
	anyText  = rule{text: true}
)

// between is a rule for numbers.
func between(lo, hi int64) rule { return rule{min: lo, max: hi} }

// A param is a line of the table of parameters: its name, its default as it is
// shown, and what may be written.
type param struct {
	path, def string
	rule      rule
}

// entry makes the file of a parameter.
func (x *param) entry(name string) rootEntry {
	e := rootEntry{Name: name, Mode: x.rule.mode, Show: func(fs *FS, _ vfs.Ctx, w *bytes.Buffer) error {
		w.WriteString(fs.conf.Params.get(x.path, x.def) + "\n")
		return nil
	}}
	if !x.rule.ro {
		e.Store = func(fs *FS, _ vfs.Ctx, data []byte) error { return x.store(fs.conf.Params, data) }
	}
	return e
}

// store checks and sets: EINVAL. Fewer numbers than there are change the first ones.
func (x *param) store(p *Params, data []byte) error {
	s := strings.TrimRight(string(data), "\n\x00")
	if x.rule.text {
		p.set(x.path, s)
		return nil
	}
	values := strings.Split(p.get(x.path, x.def), "\t")
	words := strings.Fields(s)
	if len(words) > len(values) {
		return linux.EINVAL
	}
	for i, word := range words {
		n, err := strconv.ParseInt(word, 0, 64)
		if err != nil {
			if _, uerr := strconv.ParseUint(word, 0, 64); uerr != nil || x.rule.max != 0 && x.rule.max != natural.max {
				return linux.EINVAL
			}
			values[i] = word
			continue
		}
		if x.rule.min|x.rule.max != 0 && (n < x.rule.min || n > x.rule.max) {
			return linux.EINVAL
		}
		values[i] = strconv.FormatInt(n, 10)
	}
	p.set(x.path, strings.Join(values, "\t"))
	return nil
}
