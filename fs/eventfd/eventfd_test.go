package eventfd

import (
	"encoding/binary"
	"testing"

	"garrison/sentry/linux"
	"garrison/sentry/usermem"
	"garrison/sentry/wait"
)

func read(t *testing.T, f *File, want uint64, wantErr error) {
	t.Helper()
	b := make([]byte, 8)
	_, err := f.Read(nil, usermem.FromBytes(b), 0)
	if v := binary.LittleEndian.Uint64(b); v != want || err != wantErr {
		t.Fatal(v, err)
	}
}

func write(f *File, v uint64) error {
	_, err := f.Write(nil, usermem.FromBytes(binary.LittleEndian.AppendUint64(nil, v)), 0)
	return err
}

func TestCounter(t *testing.T) {
	f := New(3, false, 0)
	if err := write(f, 4); err != nil {
		t.Fatal(err)
	}
	read(t, f, 7, nil)
	read(t, f, 0, linux.EAGAIN)
	if write(f, ^uint64(0)) != linux.EINVAL || write(f, most) != nil || write(f, 1) != linux.EAGAIN || write(f, 0) != nil {
		t.Fatal("overflow")
	}
	if r := f.Ready(wait.In | wait.Out); r != wait.In {
		t.Fatalf("%#x", r)
	}
	if _, err := f.Read(nil, usermem.FromBytes(make([]byte, 7)), 0); err != linux.EINVAL {
		t.Fatal(err)
	}
}

func TestSemaphore(t *testing.T) {
	f := New(2, true, 0)
	read(t, f, 1, nil)
	read(t, f, 1, nil)
	read(t, f, 0, linux.EAGAIN)
	if r := f.Ready(wait.In | wait.Out); r != wait.Out {
		t.Fatalf("%#x", r)
	}
}
