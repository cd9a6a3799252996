package wire

import (
	"errors"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// messages is one of each, empty.
func messages() []Message {
	return []Message{
		&Empty{}, &ChannelReq{}, &ForgetReq{}, &AttachReq{}, &AttachResp{}, &WalkReq{}, &WalkResp{}, &GetattrReq{},
		&SetattrReq{}, &AttrResp{}, &OpenReq{}, &CreateReq{}, &NodeResp{}, &MknodReq{}, &LinkReq{}, &LinkResp{},
		&RenameReq{}, &RenameResp{}, &UnlinkReq{}, &UnlinkResp{}, &ReaddirReq{}, &ReaddirResp{}, &ReadlinkReq{},
		&ReadlinkResp{}, &GetxattrReq{}, &XattrResp{}, &SetxattrReq{}, &ListxattrReq{}, &ListxattrResp{},
		&RemovexattrReq{}, &StatfsReq{}, &StatfsResp{}, &FsyncReq{}, &SyncfsReq{}, &ConnectReq{}, &BindReq{}, &ChangesReq{}, &ChangesResp{}, &AttrsReq{}, &AttrsResp{},
		&ApplyReq{}, &ApplyResp{}, &OpensReq{}, &OpensResp{}, &ReserveReq{}, &ReserveResp{},
	}
}

// fill gives every field a value of its own.
func fill(v reflect.Value, next *uint64) {
	*next++
	switch v.Kind() {
	case reflect.Pointer:
		fill(v.Elem(), next)
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i), next)
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		fill(v.Index(0), next)
		fill(v.Index(1), next)
	case reflect.String:
		v.SetString("n" + strings.Repeat("x", int(*next%7)))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int64:
		v.SetInt(-int64(*next))
	default:
		v.SetUint(*next % 256)
	}
}

// A bare entry is short, and takes as much as Size says.
func TestBareEntry(t *testing.T) {
	for _, e := range []Entry{
		{Name: "bare", Node: Node{Attr: Attr{Ino: 7, Mode: TypeLink}}},
		{Name: "whole", Node: Node{ID: 3, Attr: Attr{Ino: 7, Mode: TypeLink, Size: 9}, Target: "target"}},
	} {
		in := ReaddirResp{Entries: []Entry{e, e}}
		b, one := AppendReply(nil, &in), AppendReply(nil, &ReaddirResp{Entries: []Entry{e}})
		var out ReaddirResp
		if err := ParseReply(b, &out); err != nil || !reflect.DeepEqual(in.Entries, out.Entries) {
			t.Errorf("%v\n in %+v\nout %+v", err, in, out)
		}
		if len(b)-len(one) != e.Size() {
			t.Errorf("%s takes %d bytes, and says %d", e.Name, len(b)-len(one), e.Size())
		}
	}
}

// Every field of every message arrives, and no truncated message does.
func TestRoundTrip(t *testing.T) {
	for _, in := range messages() {
		n := uint64(0)
		fill(reflect.ValueOf(in), &n)
		if q, ok := in.(*ApplyReq); ok { // a change is one thing or the other
			q.Edits[0] = Edit{Kind: EditSet, Set: q.Edits[0].Set}
			q.Edits[1] = Edit{Kind: EditUnlink, Unlink: q.Edits[1].Unlink}
			made := Edit{Kind: EditMake}
			fill(reflect.ValueOf(&made.Make), &n)
			link := Edit{Kind: EditLink}
			fill(reflect.ValueOf(&link.Link), &n)
			q.Edits = append(q.Edits, made, link)
		}
		b := AppendReply(nil, in)
		out := reflect.New(reflect.TypeOf(in).Elem()).Interface().(Message)
		if err := ParseReply(b, out); err != nil || !reflect.DeepEqual(in, out) {
			t.Errorf("%T: %v\n in %+v\nout %+v", in, err, in, out)
		}
		for i := range b {
			out := reflect.New(reflect.TypeOf(in).Elem()).Interface().(Message)
			if err := ParseReply(b[:i], out); err != ErrMessage {
				t.Errorf("%T: %d of %d bytes: %v", in, i, len(b), err)
			}
		}
		if err := ParseReply(append(b, 0), out); err != ErrMessage {
			t.Errorf("%T: a trailing byte: %v", in, err)
		}
	}
}

func TestRequest(t *testing.T) {
	forgets := []Forget{{1, 2}, {3, 4}}
	b := AppendRequest(nil, &WalkReq{Dir: 7, Names: []string{"usr", "bin"}}, forgets)
	var h RequestHeader
	body, err := ParseRequest(b, &h)
	if err != nil || h.Op != OpWalk || !reflect.DeepEqual(h.Forgets, forgets) {
		t.Fatal(h, err)
	}
	var q WalkReq
	if err := Unmarshal(body, &q); err != nil || q.Dir != 7 || len(q.Names) != 2 {
		t.Fatal(q, err)
	}
	for op := Op(1); op < NumOps; op++ {
		if op.String() == "unknown operation" {
			t.Errorf("operation %d has no name", op)
		}
	}
}

func TestErrno(t *testing.T) {
	if err := ParseReply(AppendError(nil, unix.ENOENT), &Empty{}); err != unix.ENOENT {
		t.Error(err)
	}
	if err := ParseReply(AppendError(nil, 5000), &Empty{}); err != ErrMessage {
		t.Error(err)
	}
	link := &LinkError{"receive", ErrClosed}
	if Errno(link) != unix.EIO || Errno(unix.EPERM) != unix.EPERM || Errno(nil) != 0 || Errno(ErrMessage) != unix.EIO {
		t.Error("wrong errno")
	}
	if link.Error() != "gofer: receive: connection closed by peer" {
		t.Error(link)
	}
}

// Nothing is allocated for a length that the message does not bear out.
func TestLyingLength(t *testing.T) {
	b := AppendRequest(nil, &WalkReq{}, nil)[4:]
	copy(b[8:], "\x80\x00\x00\x00") // 128 names
	n := testing.AllocsPerRun(10, func() {
		var q WalkReq
		if err := Unmarshal(b, &q); err == nil {
			t.Error("accepted")
		}
	})
	if n > 2 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzMessages decodes arbitrary bytes as each message, and what decodes must encode
// to the same bytes.
func FuzzMessages(f *testing.F) {
	for i, m := range messages() {
		n := uint64(0)
		fill(reflect.ValueOf(m), &n)
		f.Add(uint8(i), AppendReply(nil, m)[4:])
	}
	f.Fuzz(func(t *testing.T, i uint8, b []byte) {
		all := messages()
		m := all[int(i)%len(all)]
		if err := Unmarshal(b, m); err != nil {
			return
		}
		if again := AppendReply(nil, m)[4:]; string(again) != string(b) {
			t.Errorf("%T: %x became %x", m, b, again)
		}
	})
}

// FuzzRequest decodes arbitrary bytes as a request's header.
func FuzzRequest(f *testing.F) {
	f.Add(AppendRequest(nil, &ForgetReq{}, []Forget{{1, 2}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		var h RequestHeader
		if _, err := ParseRequest(b, &h); err != nil && !errors.Is(err, ErrMessage) {
			t.Error(err)
		}
	})
}

// peers is a client and the other end of its first connection.
func peers(t *testing.T) (*Client, *Conn) {
	t.Helper()
	a, b, err := Pair()
	if err != nil {
		t.Fatal(err)
	}
	c, err := NewClient(a)
	if err != nil {
		t.Fatal(err)
	}
	s, err := NewConn(b)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(); s.Close() })
	return c, s
}

// A gofer that answers nonsense is given up with an error that says so.
func TestHostileGofer(t *testing.T) {
	for name, answer := range map[string]func(*Conn) error{
		"silence":        func(s *Conn) error { return s.Close() },
		"garbage":        func(s *Conn) error { return s.Send([]byte("garbage")) },
		"no descriptor":  func(s *Conn) error { return s.Send(AppendReply(nil, &Empty{})) },
		"not a socket":   func(s *Conn) error { return s.Send(AppendReply(nil, &Empty{}), 0, 0, 0) },
		"too few":        func(s *Conn) error { return s.Send(AppendReply(nil, &Empty{}), 0) },
		"trailing bytes": func(s *Conn) error { return s.Send(append(AppendReply(nil, &Empty{}), 1)) },
	} {
		c, s := peers(t)
		go func() {
			if _, err := s.Recv(nil); err == nil {
				_ = answer(s)
			}
		}()
		err := c.Call(nil, &GetattrReq{}, &AttrResp{}, nil)
		var link *LinkError
		if !errors.As(err, &link) || Errno(err) != syscall.EIO {
			t.Errorf("%s: %v", name, err)
		}
		<-c.Dead()
	}
}

// An error of the gofer is an answer like another.
func TestErrorAnswer(t *testing.T) {
	c, s := peers(t)
	go func() {
		if _, err := s.Recv(nil); err == nil {
			_ = s.Send(AppendError(nil, unix.EMFILE))
		}
	}()
	if err := c.Call(nil, &GetattrReq{}, &AttrResp{}, nil); err != unix.EMFILE {
		t.Error(err)
	}
}

func TestTooManyDescriptors(t *testing.T) {
	a, b, err := Pair()
	if err != nil {
		t.Fatal(err)
	}
	s, err := NewConn(b)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	defer unix.Close(a)
	if err := unix.Sendmsg(a, []byte("x"), unix.UnixRights(make([]int, MaxFDs+1)...), nil, 0); err != nil {
		t.Fatal(err)
	}
	var fds FDs
	if _, err := s.Recv(&fds); !errors.Is(err, ErrMessage) || fds.Len() != 0 {
		t.Error(fds.Len(), err)
	}
	if err := unix.Sendmsg(a, make([]byte, MaxMessage+1), nil, nil, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Recv(nil); !errors.Is(err, ErrMessage) {
		t.Error(err)
	}
	if _, err := NewConn(0); err == nil {
		t.Error("standard input is a connection")
	}
}

func TestLink(t *testing.T) {
	a, b, err := LinkPair()
	if err != nil {
		t.Fatal(err)
	}
	x, err := NewLink(a)
	if err != nil {
		t.Fatal(err)
	}
	y, err := NewLink(b)
	if err != nil {
		t.Fatal(err)
	}
	defer y.Close()
	if err := y.SetTimeout(time.Millisecond); err != nil {
		t.Fatal(err)
	}
	if _, err := y.Recv(nil); err != syscall.EAGAIN {
		t.Error(err)
	}
	// More than a pipe holds, in parts, with descriptors.
	big := []byte(strings.Repeat("x", MaxMessage))
	go func() { _ = x.Send(big, 0, 1, 2) }()
	var fds FDs
	for {
		got, err := y.Recv(&fds)
		if err == syscall.EAGAIN {
			continue
		}
		if err != nil || string(got) != string(big) || fds.Len() != 3 {
			t.Errorf("%d bytes, %d descriptors, %v", len(got), fds.Len(), err)
		}
		break
	}
	fds.Close()
	if err := x.Send(make([]byte, MaxMessage+1)); !errors.Is(err, ErrMessage) {
		t.Error(err)
	}
	for _, b := range []string{"\xff\xff\xff\xff\x00\x00\x00\x00", "\x00\x00\x00\x00\xff\x00\x00\x00", "\x00\x00\x00\x00\x00\x00\x00\x00more"} {
		if _, err := unix.Write(x.w, []byte(b)); err != nil {
			t.Fatal(err)
		}
		if _, err := y.Recv(nil); !errors.Is(err, ErrMessage) {
			t.Errorf("%q: %v", b, err)
		}
		y.got = 0
	}
	x.Close()
	if _, err := y.Recv(nil); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
	if err := y.Send([]byte("x")); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
	if _, err := NewLink(Ends{Sock: 0, R: 0, W: 0}); err == nil {
		t.Error("standard input is a link")
	}
}

// A message may come in parts, with waits in between that are too long.
func TestLinkParts(t *testing.T) {
	a, b, err := LinkPair()
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	y, err := NewLink(b)
	if err != nil {
		t.Fatal(err)
	}
	defer y.Close()
	if err := y.SetTimeout(time.Millisecond); err != nil {
		t.Fatal(err)
	}
	whole := "\x05\x00\x00\x00\x00\x00\x00\x00hello"
	for i := range len(whole) - 1 {
		if _, err := unix.Write(a.W, []byte(whole[i:i+1])); err != nil {
			t.Fatal(err)
		}
		if _, err := y.Recv(nil); err != syscall.EAGAIN {
			t.Fatalf("after %d bytes: %v", i+1, err)
		}
	}
	if _, err := unix.Write(a.W, []byte("o")); err != nil {
		t.Fatal(err)
	}
	if got, err := y.Recv(nil); err != nil || string(got) != "hello" {
		t.Errorf("%q, %v", got, err)
	}
}

func BenchmarkMarshal(b *testing.B) {
	b.ReportAllocs()
	in := &WalkReq{Dir: 7, Names: []string{"usr", "bin"}}
	buf := make([]byte, 0, 256)
	for b.Loop() {
		buf = AppendRequest(buf[:0], in, nil)
	}
}

func BenchmarkCurrentCPU(b *testing.B) {
	for b.Loop() {
		_ = currentCPU()
	}
}
