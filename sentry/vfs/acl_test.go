package vfs

import (
	"slices"
	"testing"

	"garrison/sentry/auth"
	"garrison/sentry/linux"
)

const (
	userObj, user, groupObj = linux.ACL_USER_OBJ, linux.ACL_USER, linux.ACL_GROUP_OBJ
	group, mask, other      = linux.ACL_GROUP, linux.ACL_MASK, linux.ACL_OTHER
	noID                    = linux.ACL_UNDEFINED_ID
)

func TestACLValid(t *testing.T) {
	full := ACL{{userObj, 7, noID}, {user, 5, 1}, {user, 4, 0}, {groupObj, 5, noID}, {group, 4, 9}, {group, 4, 9}, {mask, 7, noID}, {other, 0, noID}}
	if !full.valid(nil) || !ModeACL(0o754).valid(nil) {
		t.Error("refused")
	}
	if (ACL{}).valid(nil) {
		t.Error("of nothing")
	}
	without := func(is ...int) (out ACL) {
		for i, e := range full {
			if !slices.Contains(is, i) {
				out = append(out, e)
			}
		}
		return out
	}
	for i, ok := range []bool{false, true, true, false, true, true, false, false} {
		if without(i).valid(nil) != ok {
			t.Errorf("without %d: %v", i, !ok)
		}
	}
	if without(1, 2, 4, 5, 6).valid(nil) != true || without(1, 2, 6).valid(nil) || without(4, 5, 6).valid(nil) {
		t.Error("who is named needs a mask")
	}
	for i := range full[1:] { // no two that differ in tag may change places
		x := slices.Clone(full)
		x[i], x[i+1] = x[i+1], x[i]
		if ok := full[i].Tag == full[i+1].Tag; x.valid(nil) != ok {
			t.Errorf("%d and %d swapped: %v", i, i+1, !ok)
		}
	}
	for i := range full {
		x := slices.Clone(full)
		x[i].Perm = 8
		y := slices.Clone(full)
		y[i].ID = noID
		named := full[i].Tag == user || full[i].Tag == group
		if x.valid(nil) || y.valid(nil) == named {
			t.Errorf("%d: %v %v", i, x.valid(nil), y.valid(nil))
		}
	}
}

func TestACLXattr(t *testing.T) {
	acl := ACL{{userObj, 6, noID}, {user, 4, 1001}, {groupObj, 4, noID}, {mask, 4, noID}, {other, 0, noID}}
	b := acl.Encode()
	if len(b) != 4+5*8 {
		t.Fatalf("%d bytes", len(b))
	}
	got, err := DecodeACL(b)
	if err != nil || !slices.Equal(got, acl) {
		t.Errorf("%v %v", got, err)
	}
	for n := range len(b) {
		got, err := DecodeACL(b[:n])
		whole := n == 0 || n >= 4 && (n-4)%8 == 0
		if whole != (err == nil) || whole && len(got) != max(n-4, 0)/8 || !whole && err != linux.EINVAL {
			t.Errorf("%d bytes: %v %v", n, got, err)
		}
	}
	b[0] = 1
	if _, err := DecodeACL(b); err != linux.EOPNOTSUPP {
		t.Errorf("version 1: %v", err)
	}
	b[0], b[4] = 2, 3
	if _, err := DecodeACL(b); err != linux.EINVAL {
		t.Errorf("a tag of two: %v", err)
	}
	// Rights that do not fit are not cut off: the list is not valid.
	b[4], b[6], b[7] = userObj, 6, 1
	if got, err := DecodeACL(b); err != nil || got.valid(nil) {
		t.Errorf("%v %v", got, err)
	}
}

func TestACLMode(t *testing.T) {
	masked := ACL{{userObj, 6, noID}, {user, 7, 1}, {groupObj, 5, noID}, {mask, 3, noID}, {other, 1, noID}}
	if m := masked.Mode(0o7777); m != 0o7631 {
		t.Errorf("%o", m)
	}
	if m := ModeACL(0o754).Mode(0o100000); m != 0o100754 {
		t.Errorf("%o", m)
	}
	want := ACL{{userObj, 7, noID}, {user, 7, 1}, {groupObj, 5, noID}, {mask, 0, noID}, {other, 4, noID}}
	if got := masked.Chmod(0o4704); !slices.Equal(got, want) || masked[0].Perm != 6 {
		t.Errorf("%v", got)
	}
	if got := ModeACL(0).Chmod(0o754); !slices.Equal(got, ModeACL(0o754)) {
		t.Errorf("%v", got)
	}
	if ModeACL(0o777).reduced() != nil || masked.reduced() == nil {
		t.Error("reduced")
	}
	got, mode := masked.Inherit(linux.S_IFREG | 0o2662)
	want = ACL{{userObj, 6, noID}, {user, 7, 1}, {groupObj, 5, noID}, {mask, 2, noID}, {other, 0, noID}}
	if !slices.Equal(got, want) || mode != linux.S_IFREG|0o2620 {
		t.Errorf("%v %o", got, mode)
	}
	if got, mode := ModeACL(0o751).Inherit(0o666); got != nil || mode != 0o640 {
		t.Errorf("%v %o", got, mode)
	}
}

func TestACLAllows(t *testing.T) {
	acl := ACL{{userObj, 0, noID}, {user, 7, 1}, {user, 0, 2}, {groupObj, 4, noID}, {group, 3, 11}, {group, 7, 12}, {mask, 5, noID}, {other, 7, noID}}
	for _, x := range []struct {
		uid    uint32
		groups []uint32
		want   Access // all that is allowed at once
	}{
		{1, nil, 5}, {2, nil, 0}, {2, []uint32{12}, 0}, {3, []uint32{10}, 4}, {3, []uint32{11}, 1}, {3, []uint32{12}, 5},
		{3, []uint32{10, 12}, 5}, {3, nil, 7}, {3, []uint32{13}, 7},
	} {
		cr := &auth.Creds{FSUID: x.uid, FSGID: 99, Groups: x.groups}
		for want := range Access(8) {
			if got := acl.allows(cr, 10, want); got != (want&^x.want == 0) {
				t.Errorf("%+v: %d is %v", x, want, got)
			}
		}
	}
	// Each of two groups has one of the rights, neither both.
	cr := &auth.Creds{FSUID: 3, FSGID: 10, Groups: []uint32{11}}
	if !acl.allows(cr, 10, MayRead) || !acl.allows(cr, 10, MayExec) || acl.allows(cr, 10, MayRead|MayExec) {
		t.Error("rights of two groups")
	}
	if three := ModeACL(0o704); three.allows(cr, 10, MayRead) || !three.allows(&auth.Creds{FSUID: 3}, 10, MayRead) {
		t.Error("without a mask")
	}
}
