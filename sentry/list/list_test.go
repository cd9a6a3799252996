package list

import (
	"slices"
	"testing"
)

func TestOrderAndRemoval(t *testing.T) {
	var l List[int]
	var e [4]Elem[int]
	for i := range e {
		e[i].Value = i
	}
	if !l.Empty() || l.Front() != nil || l.Back() != nil {
		t.Fatal("the zero List is not empty")
	}
	l.PushBack(&e[1])
	l.PushBack(&e[2])
	l.PushFront(&e[0])
	l.PushBack(&e[3])
	var got []int
	for v := range l.All() {
		got = append(got, v)
		if v == 1 {
			e[1].Remove()
		}
	}
	if !slices.Equal(got, []int{0, 1, 2, 3}) || e[1].Linked() || !e[2].Linked() {
		t.Fatal(got)
	}
	if l.Front() != &e[0] || l.Back() != &e[3] || !slices.Equal(slices.Collect(l.All()), []int{0, 2, 3}) {
		t.Fatal("after removal")
	}
}
