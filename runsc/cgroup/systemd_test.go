package cgroup

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/godbus/dbus/v5"
	"github.com/opencontainers/cgroups/fs2"
	"golang.org/x/sys/unix"
)

// A systemd is asked for a scope with the limits and the processes, and to end it.
func TestSystemd(t *testing.T) {
	alone(t, func() {
		fakeTree(t)
		dir := fs2.UnifiedMountpoint + "/garrison.slice"
		sd := startSystemd(t, dir)
		c := Config{ID: "x", Path: "garrison.slice:test:x", Systemd: true, Resources: limits()}
		g, err := New(c)
		if err == nil {
			err = g.Make(os.Getpid())
		}
		if err != nil {
			t.Fatal(err)
		}
		if want := filepath.Join(dir, "test-x.scope"); g.Paths()[""] != want {
			t.Errorf("%v, want %s", g.Paths(), want)
		}
		second := sleeper(t)
		if err := g.Add(second); err != nil {
			t.Error(err)
		}
		sd.mu.Lock()
		if u := sd.units["test-x.scope"]; u == nil || !slices.Equal(u.pids, []uint32{uint32(os.Getpid()), uint32(second)}) {
			t.Errorf("the unit is %+v", u)
		} else {
			for name, want := range map[string]any{
				"Slice": "garrison.slice", "Delegate": true, "MemoryMax": uint64(239075328), "MemorySwapMax": uint64(52428800),
				"TasksMax": uint64(532), "CPUWeight": uint64(100), "CPUQuotaPerSecUSec": uint64(500000),
			} {
				if got := u.properties[name].Value(); got != want {
					t.Errorf("%s is %v, want %v", name, got, want)
				}
			}
		}
		sd.mu.Unlock()
		expectFiles(t, g.Paths()[""], limitFiles)
		again, err := Open(c, g.Paths())
		if err == nil {
			err = again.Destroy()
		}
		if err != nil {
			t.Error(err)
		}
		sd.mu.Lock()
		defer sd.mu.Unlock()
		if len(sd.units) != 0 {
			t.Errorf("left: %v", sd.units)
		}
	})
}

// A fakeSystemd speaks as much of org.freedesktop.systemd1(5) as starting and ending scopes takes.
type fakeSystemd struct {
	dir   string // where the cgroups of its units are
	mu    sync.Mutex
	units map[string]*unit
	peers []net.Conn
	jobs  uint32
}

// A unit is a scope of a fakeSystemd.
type unit struct {
	properties map[string]dbus.Variant
	pids       []uint32
}

// property is a pair as systemd's methods take them.
type property struct {
	Name  string
	Value dbus.Variant
}

// startSystemd has a fakeSystemd run on this host, as far as the calling process sees.
func startSystemd(t *testing.T, dir string) *fakeSystemd {
	t.Helper()
	if err := unix.Mount("none", "/run", "tmpfs", 0, ""); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll("/run/systemd/system", 0o755); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", "/run/systemd/private")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	s := &fakeSystemd{dir: dir, units: map[string]*unit{}}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go s.serve(c)
		}
	}()
	return s
}

// serve answers what a peer asks, when it has said who it is.
func (s *fakeSystemd) serve(c net.Conn) {
	defer c.Close()
	r := bufio.NewReader(c)
	for begun := false; !begun; {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		switch word, _, _ := strings.Cut(strings.Trim(line, "\x00\r\n"), " "); {
		case word == "BEGIN":
			begun = true
		case word == "NEGOTIATE_UNIX_FD":
			_, _ = c.Write([]byte("AGREE_UNIX_FD\r\n"))
		case strings.Contains(line, "EXTERNAL"):
			_, _ = c.Write([]byte("OK 0123456789abcdef0123456789abcdef\r\n"))
		default:
			_, _ = c.Write([]byte("REJECTED EXTERNAL\r\n"))
		}
	}
	s.mu.Lock()
	s.peers = append(s.peers, c)
	s.mu.Unlock()
	for {
		q, err := dbus.DecodeMessage(r)
		if err != nil {
			return
		}
		s.mu.Lock()
		s.answer(c, q)
		s.mu.Unlock()
	}
}

// answer does what q asks for. s.mu is held.
func (s *fakeSystemd) answer(c net.Conn, q *dbus.Message) {
	result, done, err := s.do(q.Headers[dbus.FieldMember].Value().(string), q.Body)
	a := &dbus.Message{Type: dbus.TypeMethodReply, Headers: map[dbus.HeaderField]dbus.Variant{}, Body: result}
	if err != nil {
		a.Type, a.Body = dbus.TypeError, []any{err.Error()}
		a.Headers[dbus.FieldErrorName] = dbus.MakeVariant("org.freedesktop.systemd1.BadUnitSetting")
	}
	a.Headers[dbus.FieldReplySerial] = dbus.MakeVariant(q.Serial())
	send(c, a)
	if done == "" || err != nil {
		return
	}
	signal := &dbus.Message{Type: dbus.TypeSignal, Body: []any{s.jobs, result[0], done, "done"}, Headers: map[dbus.HeaderField]dbus.Variant{
		dbus.FieldPath:      dbus.MakeVariant(dbus.ObjectPath("/org/freedesktop/systemd1")),
		dbus.FieldInterface: dbus.MakeVariant("org.freedesktop.systemd1.Manager"),
		dbus.FieldMember:    dbus.MakeVariant("JobRemoved"),
	}}
	for _, p := range s.peers {
		send(p, signal)
	}
}

// send sends one message, whose body decides its signature.
func send(c net.Conn, m *dbus.Message) {
	if len(m.Body) > 0 {
		m.Headers[dbus.FieldSignature] = dbus.MakeVariant(dbus.SignatureOf(m.Body...))
	}
	_ = m.EncodeTo(c, binary.LittleEndian)
}

// do is one method: its result, and the unit whose job has been done, if it is one of those.
func (s *fakeSystemd) do(method string, body []any) (result []any, done string, err error) {
	name, _ := body[0].(string)
	job := func() []any {
		s.jobs++
		return []any{dbus.ObjectPath(fmt.Sprintf("/org/freedesktop/systemd1/job/%d", s.jobs))}
	}
	set := func(to *unit, from any) error {
		var list []property
		if err := dbus.Store([]any{from}, &list); err != nil {
			return err
		}
		for _, p := range list {
			to.properties[p.Name] = p.Value
		}
		return nil
	}
	switch method {
	case "StartTransientUnit":
		u := &unit{properties: map[string]dbus.Variant{}}
		if err := set(u, body[2]); err != nil {
			return nil, "", err
		}
		if u.pids, _ = u.properties["PIDs"].Value().([]uint32); len(u.pids) == 0 {
			return nil, "", fmt.Errorf("unit %s: scope has no PIDs, refusing", name) // as the real one does
		}
		s.units[name] = u
		return job(), name, fakeGroup(filepath.Join(s.dir, name))
	case "StopUnit":
		delete(s.units, name)
		return job(), name, os.RemoveAll(filepath.Join(s.dir, name))
	case "ResetFailedUnit":
		return nil, "", nil
	case "Get":
		return []any{dbus.MakeVariant("252")}, "", nil // the version
	}
	u := s.units[name]
	if u == nil {
		return nil, "", fmt.Errorf("unit %s: not loaded", name)
	}
	switch method {
	case "AttachProcessesToUnit":
		u.pids = append(u.pids, body[2].([]uint32)...)
		return nil, "", nil
	case "SetUnitProperties":
		return nil, "", set(u, body[2])
	}
	return nil, "", fmt.Errorf("%s: no such method", method)
}
