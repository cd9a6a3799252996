package gofer

// lru is the nodes that have a descriptor which may be closed, most recently used
// first. Its methods need server.mu.
type lru struct {
	first, last *node
	len         int
	fixed       int // how many nodes without a name keep theirs
}

func (l *lru) oldest() *node { return l.last }

// push enters n, which is not on the list, as the most recently used.
func (l *lru) push(n *node) {
	n.prev, n.next = nil, l.first
	if l.first != nil {
		l.first.prev = n
	} else {
		l.last = n
	}
	l.first = n
	l.len++
}

// remove takes n off the list; a fixed node is not on it but is counted.
func (l *lru) remove(n *node) {
	if n.fixed {
		l.fixed--
		return
	}
	if n.prev != nil {
		n.prev.next = n.next
	} else {
		l.first = n.next
	}
	if n.next != nil {
		n.next.prev = n.prev
	} else {
		l.last = n.prev
	}
	n.prev, n.next = nil, nil
	l.len--
}

// touch makes n the most recently used.
func (l *lru) touch(n *node) {
	if n.fixed || l.first == n {
		return
	}
	l.remove(n)
	l.push(n)
}
