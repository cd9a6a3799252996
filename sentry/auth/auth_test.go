package auth

import (
	"bytes"
	"runtime"
	"testing"
)

func TestParseExtents(t *testing.T) {
	for s, want := range map[string]int{
		"0 0 1": 1, "0 1000 1\n": 1, " 0\t1000 1 \n1 2000 5\n": 2, "0 0 4294967295": 1,
		"": -1, "\n": -1, "0 0": -1, "0 0 0": -1, "0 0 1 2": -1, "a 0 1": -1, "-1 0 1": -1,
		"4294967295 0 1": -1, "4294967290 0 10": -1, "0 0 2\n1 5 1": -1, "0 0 2\n5 1 1": -1, "0 0 1\n\n1 1 1": -1,
	} {
		es, ok := ParseExtents(s)
		if ok != (want > 0) || ok && len(es) != want {
			t.Errorf("%q: %v %v", s, es, ok)
		}
	}
}

func child(t *testing.T, c *Creds) *UserNamespace {
	t.Helper()
	ns, err := NewUserNamespace(c, 1)
	if err != nil {
		t.Fatal(err)
	}
	return ns
}

func TestMaps(t *testing.T) {
	root := &UserNamespace{}
	ns := child(t, Root(root))
	if _, ok := ns.MakeUID(0); ok || ns.ShowUID(0) != OverflowID || ns.FromUID(0) != NoID {
		t.Error("ids before they are mapped")
	}
	if !ns.SetMap(UIDMap, []Extent{{5, 100, 10}, {0, 1000, 2}}) || ns.SetMap(UIDMap, []Extent{{0, 0, 1}}) {
		t.Error("a map is set once")
	}
	for v, k := range map[uint32]uint32{5: 100, 14: 109, 0: 1000, 1: 1001} {
		if got, ok := ns.MakeUID(v); !ok || got != k || ns.ShowUID(k) != v {
			t.Errorf("%d is %d, which is shown as %d", v, got, ns.ShowUID(k))
		}
	}
	for _, v := range []uint32{2, 4, 15, NoID} {
		if got, ok := ns.MakeUID(v); ok {
			t.Errorf("%d is %d", v, got)
		}
	}
	in := Root(root).Clone()
	in.Enter(ns)
	in.EUID, in.EGID = 100, 0
	if _, err := NewUserNamespace(in, 2); err != ErrNoID {
		t.Error("a maker without a gid:", err)
	}
	ns.SetMap(GIDMap, []Extent{{0, 0, 1}})
	low := child(t, in)
	if low.SetMap(UIDMap, []Extent{{0, 14, 2}}) || !low.SetMap(UIDMap, []Extent{{0, 6, 2}}) {
		t.Error("a parent's ids")
	}
	if k, _ := low.MakeUID(1); k != 102 {
		t.Error("through two maps:", k)
	}
	var w bytes.Buffer
	low.ShowMap(&w, UIDMap, root)
	if w.String() != "         0        101          2\n" {
		t.Error(w.String())
	}
}

func TestCapabilities(t *testing.T) {
	root := &UserNamespace{}
	user := &Creds{EUID: 7, EGID: 7, UserNS: root}
	ns := child(t, user)
	in := user.Clone()
	in.Enter(ns)
	switch {
	case !user.HasCapIn(ns, CapKill), user.HasCapIn(root, CapKill):
		t.Error("who made a namespace is privileged in it")
	case !in.HasCapIn(ns, CapKill), in.HasCapIn(root, CapKill), in.Capable(CapKill), in.HasCapIn(nil, CapKill):
		t.Error("capabilities count inside")
	case !Root(root).HasCapIn(ns, CapKill), !Root(nil).HasCapIn(ns, CapKill):
		t.Error("capabilities count in descendants")
	case (&Creds{EUID: 8, UserNS: root}).HasCapIn(ns, CapKill):
		t.Error("another user")
	case !user.Covers(in), in.Covers(Root(root)):
		t.Error("Covers")
	}
}

func TestLimits(t *testing.T) {
	root := &UserNamespace{}
	c := Root(root)
	root.SetMaxCount(CountUTS, 1)
	var a, b struct{ x [64]byte }
	if !Charge(root, 0, CountUTS, &a) || Charge(root, 0, CountUTS, &b) || !Charge(root, 1, CountUTS, &b) {
		t.Error("one each")
	}
	ns := child(t, c)
	if Charge(ns, 5, CountUTS, &b) {
		t.Error("a limit above holds for the owner")
	}
	runtime.KeepAlive(&a) // what is gone does not count
}
