// Package list is container/list with types, and with elements owned by the
// caller: embed an Elem in the object and insertion never allocates.
package list

// An Elem is one object's place on one list. Value points back to the object.
type Elem[T any] struct {
	next, prev *Elem[T]
	Value      T
}

// Linked reports whether e is on a list.
func (e *Elem[T]) Linked() bool { return e.next != nil }

// Remove unlinks e from the list it is on.
func (e *Elem[T]) Remove() {
	e.prev.next, e.next.prev = e.next, e.prev
	e.prev, e.next = nil, nil
}

// A List is a ring through root. The zero List is empty.
type List[T any] struct{ root Elem[T] }

func (l *List[T]) lazy() {
	if l.root.next == nil {
		l.root.next, l.root.prev = &l.root, &l.root
	}
}

// PushBack puts e, which is on no list, last.
func (l *List[T]) PushBack(e *Elem[T]) {
	l.lazy()
	l.insert(e, l.root.prev)
}

// PushFront puts e, which is on no list, first.
func (l *List[T]) PushFront(e *Elem[T]) {
	l.lazy()
	l.insert(e, &l.root)
}

func (l *List[T]) insert(e, after *Elem[T]) {
	e.prev, e.next = after, after.next
	after.next.prev = e
	after.next = e
}

// Empty reports whether l has no elements.
func (l *List[T]) Empty() bool { return l.root.next == nil || l.root.next == &l.root }

// Front is the first element, nil if there is none.
func (l *List[T]) Front() *Elem[T] {
	if l.Empty() {
		return nil
	}
	return l.root.next
}

// Back is the last element, nil if there is none.
func (l *List[T]) Back() *Elem[T] {
	if l.Empty() {
		return nil
	}
	return l.root.prev
}

// All ranges over the values in order; the one at hand may be removed.
func (l *List[T]) All() func(yield func(T) bool) {
	return func(yield func(T) bool) {
		l.lazy()
		for e := l.root.next; e != &l.root; {
			next := e.next
			if !yield(e.Value) {
				return
			}
			e = next
		}
	}
}
