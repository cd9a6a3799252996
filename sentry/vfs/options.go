package vfs

import (
	"strconv"
	"strings"

	"garrison/sentry/linux"
)

// Options are a filesystem's own options, as mount(8) gives them after -o.
type Options []Option

// An Option is "Key=Value" or just "Key".
type Option struct {
	Key, Value string
	HasValue   bool
}

// ParseOptions splits mount(2)'s data. A comma in a value is written "\,".
func ParseOptions(data string) (o Options) {
	for data != "" {
		i := 0
		for i < len(data) && data[i] != ',' {
			if data[i] == '\\' && i+1 < len(data) {
				i++
			}
			i++
		}
		word := data[:i]
		data = strings.TrimPrefix(data[i:], ",")
		if word == "" {
			continue
		}
		k, v, ok := strings.Cut(word, "=")
		o = append(o, Option{k, v, ok})
	}
	return o
}

// Get is the value of the last option with this key.
func (o Options) Get(key string) (value string, ok bool) {
	for _, x := range o {
		if x.Key == key {
			value, ok = x.Value, true
		}
	}
	return value, ok
}

// Only reports EINVAL if an option has a key that is not among keys.
func (o Options) Only(keys ...string) error {
next:
	for _, x := range o {
		for _, k := range keys {
			if x.Key == k {
				continue next
			}
		}
		return linux.EINVAL
	}
	return nil
}

// Uint is the number in base (0: by its prefix) that key has, or def. EINVAL.
func (o Options) Uint(key string, base int, def uint64) (uint64, error) {
	v, ok := o.Get(key)
	if !ok {
		return def, nil
	}
	n, err := strconv.ParseUint(v, base, 64)
	if err != nil {
		return 0, linux.EINVAL
	}
	return n, nil
}

// Size is the number of bytes that key has, with Linux's suffixes k, m, g, t, p, e,
// and "%" of total, or def. EINVAL.
func (o Options) Size(key string, total, def uint64) (uint64, error) {
	v, ok := o.Get(key)
	if !ok {
		return def, nil
	}
	if p, ok := strings.CutSuffix(v, "%"); ok {
		n, err := strconv.ParseUint(p, 10, 32)
		if err != nil {
			return 0, linux.EINVAL
		}
		return total / 100 * n, nil
	}
	shift := 0
	if v != "" {
		if i := strings.IndexByte("kmgtpe", v[len(v)-1]|0x20); i >= 0 {
			shift, v = 10*(i+1), v[:len(v)-1]
		}
	}
	n, err := strconv.ParseUint(v, 0, 64)
	if err != nil || n<<shift>>shift != n {
		return 0, linux.EINVAL
	}
	return n << shift, nil
}
