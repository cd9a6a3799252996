package usermem

import (
	"reflect"
	"strings"
	"testing"

	"garrison/platform/arch"
	"garrison/sentry/linux"
)

func TestFlat(t *testing.T) {
	type padded struct {
		_ uint8
		_ uint64
	}
	if Flat(reflect.TypeFor[padded]()) || Flat(reflect.TypeFor[*int]()) {
		t.Fatal("accepted")
	}
	if !Flat(reflect.TypeFor[linux.Stat]()) {
		t.Fatal("refused linux.Stat")
	}
}

func TestSeq(t *testing.T) {
	mem := Bytes("0123456789")
	s := One(mem, 2, 6)
	if got := s.Skip(1).Take(3); got.Len() != 3 || s.Len() != 6 {
		t.Fatal(got.Len(), s.Len())
	}
	b := make([]byte, 8)
	if n, err := s.Skip(1).Take(3).CopyIn(b); n != 3 || err != nil || string(b[:n]) != "345" {
		t.Fatal(n, err, string(b))
	}
	if n, err := One(mem, 8, 6).CopyIn(b[:6]); n != 2 || err != linux.EFAULT {
		t.Fatal(n, err)
	}
	if s.Skip(6).Len() != 0 || s.Take(0).Len() != 0 {
		t.Fatal("an empty part is not empty")
	}
}

func TestCopyInString(t *testing.T) {
	long := strings.Repeat("x", 600)
	mem := Bytes(long + "\x00")
	if s, err := CopyInString(mem, 0, 4096); err != nil || s != long {
		t.Fatal(len(s), err)
	}
	if _, err := CopyInString(mem, 0, 599); err != linux.ENAMETOOLONG {
		t.Fatal(err)
	}
	if _, err := CopyInString(Bytes("abc"), 0, 10); err != linux.EFAULT {
		t.Fatal(err)
	}
}

func TestOnce(t *testing.T) {
	m := Bytes("0123456789")
	s := Seq{Mem: m, Vec: []arch.Range{{Start: 1, End: 3}, {Start: 5, End: 5}, {Start: 4, End: 6}, {Start: 8, End: 10}}}
	for _, c := range []struct {
		s    Seq
		want string
	}{
		{s, "124589"},
		{One(m, 2, 0), ""},
		{Seq{Mem: m, Vec: []arch.Range{{Start: 8, End: 12}, {Start: 0, End: 1}}}, "89"}, // up to where memory ends
		{Seq{Mem: m, Vec: []arch.Range{{Start: 0, End: 1}, {Start: 20, End: 21}, {Start: 1, End: 2}}}, "0"},
	} {
		calls, got := 0, ""
		_, err := c.s.Once(arch.Read, func(p [][]byte) (int64, error) {
			calls++
			for _, b := range p {
				got += string(b)
			}
			return int64(len(got)), nil
		})
		if got != c.want || err != nil || calls != 1 {
			t.Errorf("%v: %q, %v, %d calls", c.s.Vec, got, err, calls)
		}
	}
	if _, err := One(m, 20, 4).Once(arch.Read, func([][]byte) (int64, error) { return 0, nil }); err != linux.EFAULT {
		t.Error(err)
	}
}
