package tmpfs

import (
	"garrison/platform/arch"
	"garrison/sentry/linux"
	"garrison/sentry/mm"
	"garrison/sentry/vfs"
)

// Mmap implements vfs.Mapper.
func (o *openFile) Mmap(_ vfs.Ctx, s vfs.MapSpec) (mm.Mappable, error) {
	o.r.mu.Lock()
	defer o.r.mu.Unlock()
	if s.Shared && s.Access.Has(arch.Write) && o.r.seals&(linux.F_SEAL_WRITE|linux.F_SEAL_FUTURE_WRITE) != 0 {
		return nil, linux.EPERM
	}
	return o.r, nil
}

// AddMapping implements mm.Mappable.
func (r *regular) AddMapping(m mm.Mapping) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if m.Writable && r.seals&linux.F_SEAL_WRITE != 0 {
		return linux.EPERM
	}
	return r.MappingSet.AddMapping(m)
}

// Pages implements mm.Mappable. What is mapped is charged at once, as far as there is
// room: the kernel does not see when a guest touches it.
func (r *regular) Pages(off, n uint64, _ arch.Access) (mm.Pages, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	size := pageUp(uint64(r.attr.Size))
	if off >= size {
		return mm.Pages{}, nil
	}
	_, _, end := extentOf(off)
	n = min(n, size-off, end-off)
	e, err := r.data.extent(r.fs, off)
	if err != nil {
		return mm.Pages{}, err
	}
	if n, err = r.data.fill(r.fs, e, off, n); n == 0 {
		return mm.Pages{}, err
	}
	if !e.mapped {
		e.mapped = true
		r.data.mapped++
	}
	return mm.Pages{
		Memory: r.fs.mem, Off: e.mem.Start + off - e.start, Len: n &^ arch.PageMask,
		Access: arch.Read | arch.Write | arch.Exec,
	}, nil
}

// RemovePages implements mm.Remover: MADV_REMOVE.
func (r *regular) RemovePages(off, n uint64) error {
	r.io.Lock()
	defer r.io.Unlock()
	r.punch(off, off+n)
	return nil
}

// Fcntl implements vfs.Fcntler: F_ADD_SEALS and F_GET_SEALS.
func (o *openFile) Fcntl(_ vfs.Ctx, cmd uint32, arg uint64) (int, error) {
	const known = linux.F_SEAL_SEAL | linux.F_SEAL_SHRINK | linux.F_SEAL_GROW | linux.F_SEAL_WRITE |
		linux.F_SEAL_FUTURE_WRITE | linux.F_SEAL_EXEC
	switch cmd {
	case linux.F_GET_SEALS:
		return int(o.r.Seals()), nil
	case linux.F_ADD_SEALS:
		if !o.writable {
			return 0, linux.EPERM
		}
		if arg&^known != 0 {
			return 0, linux.EINVAL
		}
		return 0, o.r.AddSeals(uint32(arg))
	}
	return 0, linux.ENOTTY
}

// Seals implements vfs.Sealer.
func (r *regular) Seals() uint32 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.seals
}

// SetSeals implements vfs.Sealer.
func (r *regular) SetSeals(s uint32) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seals = s
}

// AddSeals implements vfs.Sealer.
func (r *regular) AddSeals(s uint32) error {
	r.io.Lock() // no write is under way
	defer r.io.Unlock()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.seals&linux.F_SEAL_SEAL != 0 {
		return linux.EPERM
	}
	if s&linux.F_SEAL_WRITE != 0 && r.seals&linux.F_SEAL_WRITE == 0 && r.MappedWritable() {
		return linux.EBUSY
	}
	if s&linux.F_SEAL_EXEC != 0 && r.attr.Mode&0o111 != 0 {
		// A file sealed as executable must not change either.
		s |= linux.F_SEAL_SHRINK | linux.F_SEAL_GROW | linux.F_SEAL_WRITE | linux.F_SEAL_FUTURE_WRITE
	}
	r.seals |= s
	return nil
}
