package posture

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"garrison/syscalls"
	"garrison/test/bundle"
)

// kindOf is what fuzz/fuzz.c makes of an argument of the type.
func kindOf(of reflect.Type) byte {
	switch name := of.String(); {
	case strings.HasSuffix(name, ".FD"):
		return 'f'
	case strings.HasSuffix(name, ".pathname"):
		return 'p'
	case strings.HasSuffix(name, ".xattrName"):
		return 'n'
	case strings.HasPrefix(name, "usermem.Ptr["):
		return 'b'
	case strings.HasSuffix(name, ".address"):
		return 'a'
	case strings.HasSuffix(name, ".size"), strings.HasSuffix(name, ".offset"):
		return 's'
	case strings.HasSuffix(name, ".Signal"):
		return 'g'
	case strings.HasSuffix(name, ".id"):
		return 'u'
	case strings.HasSuffix(name, ".MapFlags"):
		return 'm'
	case strings.HasSuffix(name, "Flags"), strings.HasSuffix(name, ".Prot"), strings.HasSuffix(name, ".FileMode"):
		return 'x'
	}
	return 'i'
}

// special is the kinds of arguments whose types don't tell them.
var special = map[string]string{
	"ioctl": "fra", "add_key": "tdask", "request_key": "tddk", "kcmp": "uuiff",
	"sched_setattr": "ucx", "sched_setscheduler": "uib", "prlimit64": "uibb",
}

// signatures is the table of system calls as the guest reads it: those whose names
// GARRISON_CALLS, a regular expression, matches.
func signatures() string {
	var all strings.Builder
	chosen := regexp.MustCompile(os.Getenv("GARRISON_CALLS"))
	for nr := range syscalls.Table {
		c := &syscalls.Table[nr]
		if c.Fn == nil || c.Refused != 0 || !chosen.MatchString(c.Name) {
			continue
		}
		kinds := ""
		for _, a := range c.Args {
			if a != nil {
				kinds += string(kindOf(a))
			}
		}
		switch {
		case special[c.Name] != "":
			kinds = special[c.Name]
		case kinds == "":
			kinds = "-"
		}
		fmt.Fprintf(&all, "%d %s %s\n", nr, c.Name, kinds)
	}
	return all.String()
}

// connections is how many more descriptors there may be: of connections to the gofer,
// one for each task that wanted something of it at the same time. A client keeps 8 that
// are tied to processors and 16 others, each two pipes and a socket at both ends.
const connections = (8 + 16) * 2 * 3

// perTCP is how many KiB a network takes for each goroutine that serves its TCP: the
// stack of that, and its share of connections that have not timed out.
const perTCP = 16

// TestFuzz makes typed system calls at random, from many threads and processes,
// some of them root in namespaces of their own, for GARRISON_STRESS (or a few
// seconds) on each platform. A seed that fails is said.
func TestFuzz(t *testing.T) {
	limit := 4 * time.Second
	if long, err := time.ParseDuration(os.Getenv(longTier)); err == nil {
		limit = long
	}
	bin := filepath.Join(rootfs, "bin/fuzz")
	if out, err := exec.Command("gcc", "-static", "-O1", "-Wall", "-Werror", "-Wno-unused-result", "-Wno-unused-value", "-pthread", "-o", bin, "fuzz/fuzz.c").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if err := os.WriteFile(filepath.Join(rootfs, "etc/calls"), []byte(signatures()), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, platform := range platforms {
		t.Run(platform, func(t *testing.T) {
			seed := os.Getenv("GARRISON_SEED")
			if seed == "" {
				seed = fmt.Sprint(time.Now().UnixNano() % 1_000_000)
			}
			t.Logf("GARRISON_SEED=%s", seed)
			b := newBox(t, []string{"sleep", "100000"}, func(s *specs.Spec) {
				bundle.Grant(s, "SYS_ADMIN SETUID SETGID SYS_CHROOT KILL DAC_OVERRIDE CHOWN MKNOD NET_ADMIN SYS_RESOURCE IPC_OWNER SYS_PTRACE")
			}).on(platform)
			b.start()
			b.fuzz(seed, time.Second) // what is kept for the next time is there afterwards
			before, _ := b.size()
			had := b.open()
			out := b.fuzz(seed+"1", limit)
			t.Log(out)
			b.wentWell(out)
			after, stacks := b.size()
			t.Logf("%+v became %+v", before, after)
			// A network lives until its last connection has timed out.
			if after.goroutines-after.networks > before.goroutines-before.networks+few || after.descriptors > before.descriptors+connections || after.stubs > before.stubs+few {
				t.Errorf("%+v became %+v:\n%v\n%v\n%s", before, after, had, b.open(), stacks)
			}
			if after.pss > before.pss+4*morePSS+after.networks*perTCP {
				t.Errorf("%+v became %+v: more than ever", before, after)
			}
			b.checkLog()
		})
	}
}

// fuzz lets the guest make calls for as long as limit.
func (b *box) fuzz(seed string, limit time.Duration) string {
	b.t.Helper()
	out, err := b.command("exec", b.id, "/bin/fuzz", "/etc/calls", seed, fmt.Sprint(limit.Seconds())).CombinedOutput()
	if err != nil || !strings.HasSuffix(string(out), "well\n") {
		b.checkLog()
		if log, err := exec.Command("tail", "-n", "20", b.log()).CombinedOutput(); err == nil {
			b.t.Logf("%s", log)
		}
		left, _ := b.command("exec", b.id, "/bin/sh", "-c", "cat /proc/[0-9]*/status").CombinedOutput()
		b.t.Fatalf("%v: %s\n%s\n%s", err, out, left, b.stacks())
	}
	return string(out)
}

// wentWell fails the test if hardly any of the calls has succeeded even once: then
// nothing was tried. Half of them do in a few seconds.
func (b *box) wentWell(out string) {
	b.t.Helper()
	var workers, well, of int
	var calls uint64
	for line := range strings.Lines(out) {
		if _, err := fmt.Sscanf(line, "%d workers, %d calls, %d of %d went well", &workers, &calls, &well, &of); err == nil {
			break
		}
	}
	if of == 0 || well < of/4 {
		b.t.Errorf("%d of %d calls went well", well, of)
	}
}
