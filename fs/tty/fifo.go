package tty

// A fifo is bytes on their way: appended at the back, taken from the front. Its
// owner bounds it; the memory is kept while it is in use and given back when a
// large one runs empty.
type fifo struct {
	b   []byte
	off int // b[:off] has been taken
}

// fifoKeep is how much memory an empty fifo may hold on to.
const fifoKeep = 4096

func (f *fifo) len() int      { return len(f.b) - f.off }
func (f *fifo) bytes() []byte { return f.b[f.off:] }

func (f *fifo) put(p ...byte) { f.b = append(f.compact(len(p)), p...) }

// compact moves what is left to the front if that spares growing.
func (f *fifo) compact(n int) []byte {
	if f.off > 0 && len(f.b)+n > cap(f.b) {
		f.b = f.b[:copy(f.b, f.b[f.off:])]
		f.off = 0
	}
	return f.b
}

// drop takes n bytes from the front.
func (f *fifo) drop(n int) {
	if f.off += n; f.off < len(f.b) {
		return
	}
	f.off = 0
	if cap(f.b) > fifoKeep {
		f.b = nil
	} else {
		f.b = f.b[:0]
	}
}

// cut forgets all but the first n bytes.
func (f *fifo) cut(n int) { f.b = f.b[:min(f.off+n, len(f.b))] }

func (f *fifo) clear() { f.drop(f.len()) }
