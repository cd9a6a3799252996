package boot

import (
	"bytes"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"garrison/sentry/limits"
	"garrison/sentry/linux"
	"garrison/syscalls"
)

func TestProblemsInRuncsWords(t *testing.T) {
	for _, c := range []struct {
		name string
		err  error
		want string
		code int
	}{
		{"x", linux.ENOENT, `exec: "x": executable file not found in $PATH`, 127},
		{"/x", linux.ENOENT, `exec: "/x": stat /x: no such file or directory`, 127},
		{"/x/y", linux.ENOTDIR, `exec: "/x/y": stat /x/y: not a directory`, 127},
		{"x", linux.EACCES, `exec: "x": permission denied`, 126},
	} {
		p := lookupProblem(c.name, c.err)
		if !strings.HasSuffix(p.Message, c.want) || p.Code != c.code {
			t.Errorf("%+v", p)
		}
	}
	if p := startProblem("x", "/bin/x", linux.ENOEXEC); p.Code != 126 || !strings.Contains(p.Message, "exec format error") {
		t.Errorf("%+v", p)
	}
	if p := startProblem("x", "/bin/x", linux.ENOENT); p.Code != 127 {
		t.Errorf("%+v", p)
	}
	if p := problem(linux.EIO); p.Message != linux.EIO.Error() {
		t.Errorf("%+v", p)
	}
}

func TestSearchPath(t *testing.T) {
	if got := searchPath([]string{"PATH=/a", "X=1", "PATH=/b:/c"}); got != "/b:/c" {
		t.Error(got)
	}
	if got := searchPath(nil); got != "" {
		t.Error(got)
	}
}

func TestRlimits(t *testing.T) {
	set := rlimits([]specs.POSIXRlimit{{Type: "RLIMIT_NOFILE", Soft: 7, Hard: 8}})
	if l := set.Get(limits.NOFile); l.Cur != 7 || l.Max != 8 {
		t.Errorf("%+v", l)
	}
	if l := set.Get(limits.Stack); l.Cur != 8<<20 {
		t.Errorf("%+v", l)
	}
}

// TestSupportTable asks that each line has the columns that tests read.
func TestSupportTable(t *testing.T) {
	var b bytes.Buffer
	if err := printSyscalls(&b); err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(strings.TrimSpace(b.String()), "\n") {
		f := strings.Fields(line)
		switch {
		case len(f) == 3 && f[2] == "implemented":
		case len(f) >= 5 && f[2] == "refused" && strings.HasPrefix(f[3], "E"):
		default:
			t.Errorf("%q", line)
		}
	}
}

func TestBrokenTable(t *testing.T) {
	table, err := brokenTable(map[string]string{"getpid": "ENOSYS", "getuid": "nothing"})
	if err != nil {
		t.Fatal(err)
	}
	var args [6]uint64
	for nr := range table {
		switch table[nr].Name {
		case "getpid":
			if _, err := table[nr].Fn(nil, &args); err != linux.ENOSYS {
				t.Error(err)
			}
		case "getuid":
			if n, err := table[nr].Fn(nil, &args); n != 0 || err != nil {
				t.Error(n, err)
			}
		}
	}
	if whole, err := brokenTable(nil); err != nil || whole != &syscalls.Table {
		t.Error("no need for a copy")
	}
	if _, err := brokenTable(map[string]string{"nosuch": "ENOSYS"}); err == nil {
		t.Error("a call that does not exist can be broken")
	}
}

func TestTraceResults(t *testing.T) {
	for _, c := range []struct {
		ret  uint64
		err  error
		want string
	}{{3, nil, "3"}, {0x7f0000001000, nil, "0x7f0000001000"}, {0, linux.ENOENT, "-1 ENOENT (no such file or directory)"}} {
		if got := result(c.ret, c.err); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}
