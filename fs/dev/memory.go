package dev

import (
	"crypto/rand"

	"garrison/sentry/linux"
	"garrison/sentry/mm"
	"garrison/sentry/usermem"
	"garrison/sentry/vfs"
)

// still is what the memory devices have in common: nothing to close, and an
// offset that stays 0.
type still struct{}

// Close implements vfs.File.
func (still) Close(vfs.Ctx) {}

// Seek implements vfs.Seeker.
func (still) Seek(vfs.Ctx, int64, int64, int) (int64, error) { return 0, nil }

// null is /dev/null, null(4).
type null struct{ still }

// Read implements vfs.File.
func (*null) Read(vfs.Ctx, usermem.Seq, int64) (int64, error) { return 0, nil }

// Write implements vfs.File. It does not look at src: a bad pointer is no error.
func (*null) Write(_ vfs.Ctx, src usermem.Seq, _ int64) (int64, error) { return src.Len(), nil }

// zeros is a piece of what zero and full read as.
var zeros [16 << 10]byte

func readZeros(dst usermem.Seq) (int64, error) {
	total := int64(0)
	for left := dst.Len(); left > 0; left = dst.Len() - total {
		n, err := dst.Skip(total).CopyOut(zeros[:min(left, int64(len(zeros)))])
		if total += int64(n); err != nil {
			return total, unless(total, err)
		}
	}
	return total, nil
}

// unless is err if nothing was moved: progress wins over an error.
func unless(n int64, err error) error {
	if n > 0 {
		return nil
	}
	return err
}

// zero is /dev/zero, zero(4).
type zero struct{ still }

// Read implements vfs.File.
func (*zero) Read(_ vfs.Ctx, dst usermem.Seq, _ int64) (int64, error) { return readZeros(dst) }

// Write implements vfs.File.
func (*zero) Write(_ vfs.Ctx, src usermem.Seq, _ int64) (int64, error) { return src.Len(), nil }

// Mmap implements vfs.Mapper. A mapping of /dev/zero is anonymous memory, shared
// or private, and has no Mappable of its own: nil says so.
func (*zero) Mmap(vfs.Ctx, vfs.MapSpec) (mm.Mappable, error) { return nil, nil }

// full is /dev/full, full(4).
type full struct{ still }

// Read implements vfs.File.
func (*full) Read(_ vfs.Ctx, dst usermem.Seq, _ int64) (int64, error) { return readZeros(dst) }

// Write implements vfs.File.
func (*full) Write(_ vfs.Ctx, src usermem.Seq, _ int64) (int64, error) { return 0, linux.ENOSPC }

// random is /dev/random and /dev/urandom, random(4): since Linux 5.6 the same,
// once there is entropy, and here there always is.
type random struct{ still }

// Async implements vfs.Asyncer. Random bytes never run out, so nothing is signalled.
func (*random) Async() {}

// randomChunk is how much one step makes.
const randomChunk = 4096

// Read implements vfs.File.
func (*random) Read(_ vfs.Ctx, dst usermem.Seq, _ int64) (int64, error) {
	buf := make([]byte, min(dst.Len(), randomChunk))
	total := int64(0)
	for left := dst.Len(); left > 0; left = dst.Len() - total {
		p := buf[:min(left, randomChunk)]
		rand.Read(p) // never fails: it ends the program first
		n, err := dst.Skip(total).CopyOut(p)
		if total += int64(n); err != nil {
			return total, unless(total, err)
		}
	}
	return total, nil
}

// Write implements vfs.File. What is mixed in makes no difference, and is read
// only to find bad pointers.
func (*random) Write(_ vfs.Ctx, src usermem.Seq, _ int64) (int64, error) {
	buf := make([]byte, min(src.Len(), randomChunk))
	total := int64(0)
	for left := src.Len(); left > 0; left = src.Len() - total {
		n, err := src.Skip(total).CopyIn(buf[:min(left, randomChunk)])
		if total += int64(n); err != nil {
			return total, unless(total, err)
		}
	}
	return total, nil
}

// <linux/random.h>
const rndGetEntCnt = 0x80045200

// Ioctl implements vfs.Control.
func (*random) Ioctl(_ vfs.Ctx, m usermem.Memory, cmd uint32, arg uint64) (uint64, error) {
	if cmd != rndGetEntCnt {
		return 0, linux.ENOTTY
	}
	bits := int32(256)
	return 0, usermem.Ptr[int32](arg).Store(m, &bits)
}
