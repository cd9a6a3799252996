package files

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"garrison/test/bundle"
)

// TestCrash kills the gofer or the sentry at any moment while guest/writer.c writes to
// a bind mount or the root: what it has said to be on disk, is there.
func TestCrash(t *testing.T) {
	rounds := 4
	if long() {
		rounds = 100
	}
	s := seed(t)
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(n, 0))
	records := 0
	for i := range rounds {
		records += crash(t, i%2 == 0, i/2%2 == 0, time.Duration(r.Int64N(int64(400*time.Millisecond))))
		if t.Failed() {
			t.Fatalf("round %d, -seed %s", i, s)
		}
	}
	t.Logf("%d records in %d rounds", records, rounds)
	if records < rounds {
		t.Errorf("%d records in %d rounds: nothing was tried", records, rounds)
	}
}

// crash kills one process of a sandbox some time after its guest has synced something,
// and returns how many records it has checked. shared: it writes to a bind mount.
func crash(t *testing.T, gofer, shared bool, after time.Duration) (records int) {
	t.Helper()
	dir := "/"
	if shared {
		dir = "/vol"
	}
	b := newBox(t, bundle.Ours(*runsc, *platform), "", "/bin/writer", dir, "12")
	onHost := filepath.Join(b.dir, "rootfs")
	if shared {
		onHost = b.vol()
	}
	name := filepath.Join(b.dir, "said")
	out, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	sandbox := b.start(t, out)
	for end := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		if st, err := out.Stat(); err != nil || time.Now().After(end) {
			t.Fatal("nothing was written:", err)
		} else if st.Size() > 0 {
			break
		}
	}
	time.Sleep(after)
	victim, who := sandbox.sentry, "sentry"
	if gofer {
		victim, who = sandbox.gofer, "gofer"
	}
	if err := unix.Kill(victim, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	sandbox.delete() // when that is done nobody writes any more
	said, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(said) {
		if !bytes.HasSuffix(line, []byte("\n")) {
			break // the writer's death came between
		}
		if gofer && bytes.HasPrefix(line, []byte("line ")) && bytes.HasSuffix(line, []byte(": Input/output error\n")) {
			break // it lived on for a moment, with no files any more
		}
		if err := kept(onHost, strings.TrimSpace(string(line))); err != nil {
			t.Errorf("%s killed %v after the first record in %s: %v", who, after, dir, err)
			break
		}
		records++
	}
	return records
}

// kept checks a record that the guest has told: "FILE OFFSET TEXT". A file that is
// replaced has it, or a later one.
func kept(dir, line string) error {
	f := strings.Fields(line)
	if len(f) != 3 {
		return fmt.Errorf("the guest says %q", line)
	}
	name, text := f[0], f[2]
	at, err := strconv.Atoi(f[1])
	if err != nil {
		return err
	}
	data, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		return err
	}
	if strings.HasPrefix(name, "rename") {
		var want, got int
		if _, err := fmt.Sscanf(text, name+"-%d-", &want); err != nil {
			return err
		}
		if _, err := fmt.Sscanf(string(data), name+"-%d-", &got); err != nil || got < want {
			return fmt.Errorf("%s holds %q, want %q", name, data, text)
		}
		return nil
	}
	if len(data) < at+len(text) || string(data[at:at+len(text)]) != text {
		return fmt.Errorf("%s: at %d of %d bytes there is no %q", name, at, len(data), text)
	}
	return nil
}
