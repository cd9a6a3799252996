package cmd

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"garrison/runsc/container"
	"garrison/runsc/control"
)

func TestSignals(t *testing.T) {
	for in, want := range map[string]unix.Signal{
		"9": 9, "KILL": 9, "SIGKILL": 9, "sigterm": 15, "RTMIN": 34, "SIGRTMIN+3": 37, "RTMAX-1": 63, "0": 0,
	} {
		if got, err := parseSignal(in); err != nil || got != want {
			t.Errorf("%s: %v %v", in, got, err)
		}
	}
	for _, bad := range []string{"", "FOO", "-1", "65", "RTMIN+99", "RTMAX+1", "RTMIN3"} {
		if got, err := parseSignal(bad); err == nil {
			t.Errorf("%s: %v", bad, got)
		}
	}
}

func TestSuggestions(t *testing.T) {
	a := &app{}
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"rum"}, "unknown command rum: did you mean run?"},
		{[]string{"lsit"}, "unknown command lsit: did you mean list?"},
		{[]string{"stat"}, "unknown command stat: did you mean state?"},
		{[]string{"help", "rum"}, "unknown command rum: did you mean run?"},
		{[]string{"list", "extra"}, "list: takes no arguments, so not extra (see: runsc list --help)"},
		{[]string{"zzzzzz"}, "unknown command zzzzzz (see: runsc --help)"},
		{[]string{"run", "--bundel=x", "y"}, "unknown flag --bundel: did you mean --bundle?"},
		{[]string{"--rot", "x", "list"}, "unknown flag --rot: did you mean --root?"},
		{[]string{"run"}, "run: accepts 1 arg(s), received 0 (see: runsc run --help)"},
	} {
		root := a.rootCommand()
		root.SetArgs(c.args)
		command, err := root.ExecuteC()
		if err == nil {
			t.Errorf("%v: no error", c.args)
			continue
		}
		if got := a.explain(command, err).Error(); got != c.want {
			t.Errorf("%v: %q, want %q", c.args, got, c.want)
		}
	}
}

// TestHelp asks that every command says what it does, with an example.
func TestHelp(t *testing.T) {
	var visit func(c *cobra.Command)
	visit = func(c *cobra.Command) {
		if !c.IsAvailableCommand() && c.HasParent() || c.Name() == "help" || c.Name() == "completion" {
			return
		}
		if c.Short == "" || !strings.Contains(c.Example, "runsc") {
			t.Errorf("%s: no description or example", c.CommandPath())
		}
		var out bytes.Buffer
		c.SetOut(&out)
		if err := c.Help(); err != nil || !strings.Contains(out.String(), c.Example) {
			t.Errorf("%s --help: %v", c.CommandPath(), err)
		}
		for _, sub := range c.Commands() {
			visit(sub)
		}
	}
	visit((&app{}).rootCommand())
}

func TestVolumes(t *testing.T) {
	m, err := parseVolume("/a:/b:ro")
	if err != nil || m.Source != "/a" || m.Destination != "/b" || m.Options[len(m.Options)-1] != "ro" {
		t.Errorf("%+v %v", m, err)
	}
	for _, bad := range []string{"", "/a", "/a:b", ":/b", "/a:/b:xx", "/a:/b:ro:x"} {
		if _, err := parseVolume(bad); err == nil {
			t.Errorf("%q is a volume", bad)
		}
	}
}

func TestExitStatus(t *testing.T) {
	exec := &cobra.Command{Use: "exec"}
	notFound := failed("run", "x", &control.Problem{Message: "m", Code: 127})
	for _, c := range []struct {
		command *cobra.Command
		err     error
		want    int
	}{{nil, errors.New("x"), 1}, {exec, errors.New("x"), 255}, {nil, notFound, 127}, {exec, notFound, 127}} {
		if got := exitStatus(c.command, c.err); got != c.want {
			t.Errorf("%v: %d, want %d", c.err, got, c.want)
		}
	}
	if err := failed("kill", "x", container.ErrNotRunning); err != container.ErrNotRunning {
		t.Error(err)
	}
}

func TestJSONLog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	var l logger
	l.open(path, "json", false)
	l.write("error", `a "quoted" reason`)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var e map[string]string
	if err := json.Unmarshal(data, &e); err != nil {
		t.Fatal(err)
	}
	if e["level"] != "error" || e["msg"] != `a "quoted" reason` || e["time"] == "" || len(e) != 3 {
		t.Errorf("%s", data)
	}
}
