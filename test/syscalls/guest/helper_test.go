package guest

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// helperVar names the part that another process of this program plays.
const helperVar = "GUEST_PART"

// parts is what the other process can do; what they return is its output. A
// file that is passed is descriptor 3.
func parts() map[string]func() string {
	return map[string]func() string{
		"getlk":    getlkPart,
		"flock":    flockPart,
		"shared":   sharedPart,
		"is3open":  is3openPart,
		"aio":      aioPart,
		"identify": func() string { return strings.Join(os.Args, " ") },
	}
}

func init() {
	if part, ok := parts()[os.Getenv(helperVar)]; ok {
		os.Stdout.WriteString(part())
		os.Exit(0)
	}
}

// inChild plays the part in another process, and returns its output.
func inChild(t *testing.T, part string, passed ...*os.File) string {
	t.Helper()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = []string{helperVar + "=" + part}
	cmd.ExtraFiles = passed
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", part, err, out)
	}
	return string(out)
}

// open opens name as a file of package os.
func open(t *testing.T, name string) *os.File {
	t.Helper()
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	ok(t, err)
	t.Cleanup(func() { f.Close() })
	return f
}

func errText(err error) string {
	if err == nil {
		return "none"
	}
	return unix.ErrnoName(err.(unix.Errno))
}
