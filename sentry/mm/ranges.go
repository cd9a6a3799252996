package mm

import (
	"garrison/platform/arch"
	"garrison/sentry/interval"
	"garrison/sentry/linux"
)

// A span is arch.Range as package interval has it.
type span = interval.Range[arch.Addr]

func ivl(r arch.Range) span { return span{Start: r.Start, End: r.End} }
func rng(r span) arch.Range { return arch.Range{Start: r.Start, End: r.End} }

// pages is [a, a+n) with n rounded up to pages; ok is false if it wraps.
func pages(a arch.Addr, n uint64) (r arch.Range, ok bool) {
	end, ok := (a + arch.Addr(n)).Up()
	return arch.Range{Start: a, End: end}, ok && a+arch.Addr(n) >= a
}

// pageOf is the page that contains a.
func pageOf(a arch.Addr) arch.Range {
	return arch.Range{Start: a.Down(), End: a.Down() + arch.PageSize}
}

// access is p as rights.
func access(p linux.Prot) (a arch.Access) {
	if p&linux.PROT_READ != 0 {
		a |= arch.Read
	}
	if p&linux.PROT_WRITE != 0 {
		a |= arch.Write
	}
	if p&linux.PROT_EXEC != 0 {
		a |= arch.Exec
	}
	return a
}

const allAccess = arch.Read | arch.Write | arch.Exec
