package keys

import (
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"time"

	"garrison/sentry/auth"
	"garrison/sentry/linux"
)

// A world is a service whose time the test makes pass, and a caller.
type world struct {
	*testing.T
	*Service
	now int64
	c   *Caller
}

func newWorld(t *testing.T) *world {
	w := &world{T: t, now: 1e9}
	w.Service = New(func() int64 { return w.now * 1e9 })
	w.c = &Caller{auth.Root(&auth.UserNamespace{}), &Rings{}}
	w.Begin(w.c, "session")
	return w
}

func (w *world) add(kind, desc string, to Serial) Serial {
	w.Helper()
	var payload []byte
	if kind != "keyring" {
		payload = []byte("x")
	}
	k, err := w.Add(w.c, kind, &desc, payload, to)
	if err != nil {
		w.Fatal(err)
	}
	return k
}

func TestDeadKeysGo(t *testing.T) {
	w := newWorld(t)
	revoked, expired := w.add("user", "revoked", SpecSession), w.add("user", "expired", SpecSession)
	if err := w.Revoke(w.c, revoked); err != nil {
		t.Fatal(err)
	}
	if err := w.SetTimeout(w.c, expired, 10); err != nil {
		t.Fatal(err)
	}
	at := func(after int64, of Serial, want error) {
		t.Helper()
		w.now = 1e9 + after
		if _, err := w.Describe(w.c, of); err != want {
			t.Errorf("%d s later: %v, want %v", after, err, want)
		}
	}
	at(9, expired, nil)
	at(10, expired, linux.EKEYEXPIRED)
	at(299, revoked, linux.EKEYREVOKED)
	at(300, revoked, linux.ENOKEY)
	at(309, expired, linux.EKEYEXPIRED)
	at(310, expired, linux.ENOKEY)
	if n := len(w.c.Rings.session.ring.links); n != 0 {
		t.Error(n, "links are left")
	}
}

func TestNothingIsLeft(t *testing.T) {
	w := newWorld(t)
	for i := range 3 {
		r := w.add("keyring", fmt.Sprint(i), SpecSession)
		w.add("user", "k", w.add("keyring", "in", r))
	}
	child := &Rings{}
	w.Fork(w.c.Rings, child, w.c.Creds, false)
	w.Release(w.c.Rings)
	if len(w.keys) != 10 {
		t.Error(len(w.keys), "keys, want 10")
	}
	w.Release(child)
	if len(w.keys)+len(w.named)+len(w.accounts)+w.memory != 0 {
		t.Error("left:", w.keys, w.named, w.accounts, w.memory)
	}
}

func TestMemoryIsBounded(t *testing.T) {
	w := newWorld(t)
	w.SetLimits(func(l *Limits) { l.RootMaxBytes = 1 << 31 })
	desc, payload := "", make([]byte, maxPayload)
	for i := range 2 * maxMemory / maxPayload {
		desc = fmt.Sprint(i)
		if _, err := w.Add(w.c, "user", &desc, payload, SpecSession); err == linux.ENOMEM {
			return
		} else if err != nil {
			t.Fatal(err)
		}
	}
	t.Error("keys take all the memory there is")
}

// A link counts four bytes in a quota, and takes far more.
func TestLinksTakeMemory(t *testing.T) {
	w := newWorld(t)
	before, most := w.memory, 3*maxMemory/perLink
	w.SetLimits(func(l *Limits) { l.RootMaxBytes = 1 << 31 })
	var keys []Serial
	for i := range 2000 {
		keys = append(keys, w.add("user", fmt.Sprint(i), SpecSession))
	}
	fill := func() bool {
		for i := range most / len(keys) {
			r := w.add("keyring", fmt.Sprint(i), SpecSession)
			for _, k := range keys {
				if err := w.Link(w.c, k, r); err == linux.ENOMEM {
					return true
				} else if err != nil {
					t.Fatal(err)
				}
			}
		}
		return false
	}
	if !fill() {
		t.Error("links take all the memory there is")
	}
	if err := w.Clear(w.c, SpecSession); err != nil || w.memory != before {
		t.Error(err, w.memory, "bytes, want", before)
	}
}

// What /proc/keys finds to be the caller's is what is looked for one by one.
func TestPossessions(t *testing.T) {
	w := newWorld(t)
	var rings []Serial // each in the one before it, the first in the session
	for i := range 2 * maxDepth {
		r := w.add("keyring", fmt.Sprint(i), SpecSession)
		for _, perm := range []Perm{everyPerm, everyPerm &^ (canSearch * 0x01010101)} {
			if err := w.SetPerm(w.c, w.add("user", fmt.Sprint(perm), r), perm); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.SetPerm(w.c, r, everyPerm); err != nil {
			t.Fatal(err)
		}
		rings = append(rings, r)
	}
	for i, r := range rings[1:] {
		if err := w.Move(w.c, r, SpecSession, rings[i], false); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Revoke(w.c, w.add("keyring", "revoked", SpecSession)); err != nil {
		t.Fatal(err)
	}
	own, n := w.possessions(w.c), 0
	for _, k := range w.keys {
		if own[k] != w.possesses(w.c, k) {
			t.Errorf("%s %q: %v", k.kind.name, k.desc, own[k])
		}
		if own[k] {
			n++
		}
	}
	if n < maxDepth || n == len(w.keys) {
		t.Errorf("%d of %d keys are the caller's", n, len(w.keys))
	}
}

// /proc/keys of many keyrings takes no time for each pair of them.
func TestShowMany(t *testing.T) {
	w := newWorld(t)
	for i := range 60000 {
		w.add("user", "k", w.add("keyring", fmt.Sprint(i), SpecSession))
	}
	w.Show(io.Discard, w.c)
}

// Keyrings that share keyrings are looked through once.
func TestSharedKeyrings(t *testing.T) {
	w := newWorld(t)
	const wide = 60
	level := []Serial{SpecSession}
	for depth := range maxDepth {
		var next []Serial
		for i := range wide {
			next = append(next, w.add("keyring", fmt.Sprintf("%d.%d", depth, i), level[0]))
		}
		for _, r := range level[1:] {
			for _, k := range next {
				if err := w.Link(w.c, k, r); err != nil {
					t.Fatal(err)
				}
			}
		}
		level = next
	}
	if _, err := w.Search(w.c, SpecSession, "user", "none", 0); err != linux.ENOKEY {
		t.Error(err)
	}
	k := w.add("user", "k", level[wide-1])
	if got, err := w.Search(w.c, SpecSession, "user", "k", 0); err != nil || got != k {
		t.Error(got, err)
	}
}

func TestUserNamespaceEnds(t *testing.T) {
	w := newWorld(t)
	ns, err := auth.NewUserNamespace(w.c.Creds, 7)
	if err != nil {
		t.Fatal(err)
	}
	ns.SetMap(auth.UIDMap, []auth.Extent{{First: 5, Lower: 0, Count: 1}})
	c := &Caller{w.c.Creds.Clone(), &Rings{}}
	c.Creds.Enter(ns)
	if d, err := w.Describe(c, SpecUser); err != nil || !strings.HasSuffix(d, "_uid.5") {
		t.Fatal(d, err)
	}
	if len(w.keys) != 4 {
		t.Error(len(w.keys), "keys, want the session and three of the namespace")
	}
	// The test has neither ns nor c any more from here on: it ends as its garbage is collected.
	left := 0
	for range 1000 {
		runtime.GC()
		w.mu.Lock()
		left = len(w.keys)
		w.mu.Unlock()
		if left == 1 {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Error(left, "keys, want 1")
}
