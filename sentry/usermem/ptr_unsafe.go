package usermem

import (
	"reflect"
	"slices"
	"unsafe"

	"garrison/platform/arch"
	"garrison/sentry/linux"
)

// A Ptr is a guest pointer to a T. T must be flat (see Flat): then the bytes of
// a T are the same for guest and kernel, and any bytes are a valid T, which is
// what makes the cast in bytesOf sound.
type Ptr[T any] uint64

// Addr is p as an address.
func (p Ptr[T]) Addr() arch.Addr { return arch.Addr(p) }

// Load copies the T at p in. The error is EFAULT.
func (p Ptr[T]) Load(m Memory) (v T, err error) {
	_, err = m.CopyIn(bytesOf(&v), arch.Addr(p))
	return v, err
}

// Store copies *v out to p. The error is EFAULT.
func (p Ptr[T]) Store(m Memory, v *T) error {
	_, err := m.CopyOut(arch.Addr(p), bytesOf(v))
	return err
}

// At is a pointer to element i of the array at p.
func (p Ptr[T]) At(i int) Ptr[T] {
	var v T
	return p + Ptr[T](uint64(i)*uint64(unsafe.Sizeof(v)))
}

// LoadSlice copies n consecutive Ts at p in. The caller bounds n.
func (p Ptr[T]) LoadSlice(m Memory, n int) ([]T, error) {
	if n == 0 {
		return nil, nil
	}
	s := make([]T, n)
	_, err := m.CopyIn(sliceBytes(s), arch.Addr(p))
	return s, err
}

// StoreSlice copies s out to p.
func (p Ptr[T]) StoreSlice(m Memory, s []T) error {
	if len(s) == 0 {
		return nil
	}
	_, err := m.CopyOut(arch.Addr(p), sliceBytes(s))
	return err
}

// AsBytes is the memory of *v, which must be flat.
func AsBytes[T any](v *T) []byte { return bytesOf(v) }

func bytesOf[T any](v *T) []byte { return unsafe.Slice((*byte)(unsafe.Pointer(v)), unsafe.Sizeof(*v)) }

func sliceBytes[T any](s []T) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(&s[0])), uintptr(len(s))*unsafe.Sizeof(s[0]))
}

// Flat reports whether a t lies in a guest's memory as it does in the kernel's:
// no pointers, no implicit padding.
func Flat(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Struct:
		end := uintptr(0)
		for f := range t.Fields() {
			if f.Offset != end || !Flat(f.Type) {
				return false
			}
			end = f.Offset + f.Type.Size()
		}
		return end == t.Size()
	case reflect.Array:
		return Flat(t.Elem())
	case reflect.Int8, reflect.Uint8, reflect.Int16, reflect.Uint16, reflect.Int32, reflect.Uint32, reflect.Int64, reflect.Uint64:
		return true
	}
	return false
}

// LoadSized loads a structure that grows from one kernel version to the next,
// of which the caller has n bytes: what it lacks is zero, what it has more must
// be (E2BIG). EINVAL if n is less than the first version's size, E2BIG beyond a page.
func (p Ptr[T]) LoadSized(m Memory, n, first uint64) (v T, err error) {
	switch {
	case n < first:
		return v, linux.EINVAL
	case n > arch.PageSize:
		return v, linux.E2BIG
	}
	b := make([]byte, max(n, uint64(unsafe.Sizeof(v))))
	if _, err := m.CopyIn(b[:n], arch.Addr(p)); err != nil {
		return v, err
	}
	if slices.ContainsFunc(b[copy(bytesOf(&v), b):], func(c byte) bool { return c != 0 }) {
		return v, linux.E2BIG
	}
	return v, nil
}
