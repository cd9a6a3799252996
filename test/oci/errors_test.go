package oci

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// TestPrograms asks for the words that engines look for when a program can't be
// run, and that it is create that fails.
func TestPrograms(t *testing.T) {
	for _, c := range []struct {
		program, want string
		code          int // of our own run: what Docker makes of the words
	}{
		{"nosuch", `exec: "nosuch": executable file not found in $PATH`, 127},
		{"/bin/nosuch", `exec: "/bin/nosuch": stat /bin/nosuch: no such file or directory`, 127},
		{"/etc/plain", `exec: "/etc/plain": permission denied`, 126},
		{"/etc", `exec: "/etc": permission denied`, 126},
	} {
		t.Run(strings.ReplaceAll(c.program, "/", "_"), func(t *testing.T) {
			b := newBox(t, []string{c.program}, nil)
			log := filepath.Join(t.TempDir(), "log.json")
			r := b.do("", "--log", log, "--log-format", "json", "create", b.id)
			if r.code == 0 || !strings.Contains(r.words(), c.want) {
				t.Errorf("create: %+v", r)
			}
			checkLog(t, log, c.want)
			r = b.run("")
			if !strings.Contains(r.words(), c.want) || !native && r.code != c.code {
				t.Errorf("run: %+v", r)
			}
		})
	}
}

// TestExecErrors is what can't be executed in a running container.
func TestExecErrors(t *testing.T) {
	b := newBox(t, []string{"sleep", "1000"}, func(s *specs.Spec) { s.Root.Readonly = false })
	b.must("run", "--detach", b.id)
	for _, c := range []struct {
		want string
		args []string
	}{
		{`chdir to cwd ("/none") set in config.json failed: no such file or directory`, []string{"--cwd", "/none", b.id, "pwd"}},
		{`invalid environment variable: "FOO"`, []string{"--env", "FOO", b.id, "env"}},
		{`exec: "nosuch": executable file not found in $PATH`, []string{b.id, "nosuch"}},
		{`preserve`, []string{"--preserve-fds", "5", b.id, "true"}}, // nobody has given any
	} {
		if r := b.do("", append([]string{"exec"}, c.args...)...); r.code == 0 || !strings.Contains(r.words(), c.want) {
			t.Errorf("%v: %+v", c.args, r)
		}
	}
	if r := b.do("", "exec", b.id, "ls", "/none"); r.code == 0 {
		t.Error("the missing directory was made")
	}
}

// TestUnknownParameter is a sysctl that there is not, and a value that one can't have.
func TestUnknownParameter(t *testing.T) {
	for name, value := range map[string]string{"net.ipv4.nosuch": "1", "kernel.msgmax": "x", "net.ipv4.ip_default_ttl": "0"} {
		b := newBox(t, []string{"true"}, func(s *specs.Spec) { s.Linux.Sysctl = map[string]string{name: value} })
		words := strings.ReplaceAll(name, ".", "[./]")
		if r := b.run(""); r.code == 0 || !regexp.MustCompile(words).MatchString(r.words()) {
			t.Errorf("%s: %+v", name, r)
		}
	}
}

// TestFixedParameter is a sysctl that the stack has only one way: to ask for that is no error.
func TestFixedParameter(t *testing.T) {
	ours(t)
	for value, code := range map[string]int{"0": 0, "1": 1} {
		b := newBox(t, []string{"true"}, func(s *specs.Spec) { s.Linux.Sysctl = map[string]string{"net.ipv4.conf.all.rp_filter": value} })
		if r := b.run(""); r.code != code || code == 1 && !strings.Contains(r.words(), `net.ipv4.conf.all.rp_filter=1: it is "0" here and can't be changed`) {
			t.Errorf("%s: %+v", value, r)
		}
	}
}

// TestNoPath has a program to be looked for, and nowhere to look.
func TestNoPath(t *testing.T) {
	b := newBox(t, []string{"ls"}, func(s *specs.Spec) { s.Process.Env = nil })
	if r := b.run(""); r.code == 0 || !strings.Contains(r.words(), `exec: "ls": executable file not found in $PATH`) {
		t.Errorf("%+v", r)
	}
}

// checkLog asserts that every line of the log has the three fields that
// containerd reads, and that the last says want.
func checkLog(t *testing.T, path, want string) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	var e struct{ Level, Msg, Time string }
	for _, line := range lines {
		if err := json.Unmarshal([]byte(line), &e); err != nil || e.Level == "" || e.Time == "" {
			t.Errorf("%q: %v", line, err)
		}
	}
	if e.Level != "error" || !strings.Contains(e.Msg, want) {
		t.Errorf("last line: %+v", e)
	}
}

func TestBadFormat(t *testing.T) {
	ours(t) // runc finds out too late for create to fail
	b := newBox(t, []string{"/bin/garbage"}, nil)
	if r := b.run(""); r.code != 126 || !strings.Contains(r.err, "exec format error") {
		t.Errorf("%+v", r)
	}
}

func TestBadConfigurations(t *testing.T) {
	for _, c := range []struct {
		name, want string
		edit       func(*specs.Spec)
	}{
		{"missing root", "no such file or directory", func(s *specs.Spec) { s.Root.Path = "/no/such/root" }},
		{"no program", "args must not be empty", func(s *specs.Spec) { s.Process.Args = nil }},
		{"relative cwd", "Cwd must be an absolute path", func(s *specs.Spec) { s.Process.Cwd = "x" }},
		{"missing source", "no such file or directory", func(s *specs.Spec) {
			s.Mounts = append(s.Mounts, specs.Mount{Destination: "/vol", Type: "bind", Source: "/no/such/source", Options: []string{"bind"}})
		}},
		{"failing hook", "hook #0", func(s *specs.Spec) {
			//lint:ignore SA1019 docker uses them
			s.Hooks = &specs.Hooks{Prestart: []specs.Hook{{Path: "/bin/false"}}}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBox(t, []string{"true"}, c.edit)
			if r := b.run(""); r.code == 0 || !strings.Contains(r.words(), c.want) || strings.Count(r.err, "\n") != 1 {
				t.Errorf("%+v", r)
			}
		})
	}
}

func TestMalformedConfiguration(t *testing.T) {
	b := newBox(t, []string{"true"}, nil)
	b.write([]byte("{\n\"ociVersion\": "))
	if r := b.run(""); r.code == 0 || strings.Count(r.err, "\n") != 1 || !native && !strings.Contains(r.err, "config.json: line 2: unexpected end of JSON input") {
		t.Errorf("%+v", r)
	}
	if r := b.do("", "run", "--bundle", "/no/such/bundle", b.id); r.code == 0 || !strings.Contains(r.err, "no such file or directory") {
		t.Errorf("%+v", r)
	}
}

func TestIDs(t *testing.T) {
	b := newBox(t, []string{"true"}, nil)
	for _, id := range []string{"a/b", "..", "a b"} {
		if r := b.do("", "run", id); r.code == 0 || !strings.Contains(r.err, "invalid") {
			t.Errorf("%q: %+v", id, r)
		}
	}
	for _, args := range [][]string{{"start"}, {"kill"}, {"delete"}, {"state"}} {
		if r := b.do("", append(args, b.id)...); r.code == 0 || !strings.Contains(r.err, "container does not exist") {
			t.Errorf("%v: %+v", args, r)
		}
	}
	if r := b.do("", "kill", b.id, "NOSIGNAL"); r.code == 0 {
		t.Errorf("%+v", r)
	}
}

func TestBadFlags(t *testing.T) {
	ours(t)
	b := newBox(t, []string{"true"}, nil)
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"--platform=warp", "run", b.id}, "--platform=warp: no such platform"},
		{[]string{"--network=moon", "run", b.id}, "--network=moon: not supported"},
		{[]string{"--overlay=x", "run", b.id}, "--overlay=x: must be none, memory or dir="},
		{[]string{"rum", b.id}, "did you mean run?"},
		{[]string{"run", "--bundel", "x", b.id}, "did you mean --bundle?"},
	} {
		if r := b.do("", c.args...); r.code == 0 || !strings.Contains(r.words(), c.want) || strings.Count(r.err, "\n") != 1 {
			t.Errorf("%v: %+v", c.args, r)
		}
	}
}

// TestNoPrivileges is another user than root: one line says what is missing, and
// nothing is left behind (which newBox checks).
func TestNoPrivileges(t *testing.T) {
	ours(t)
	dir, err := os.MkdirTemp("", "oci")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	program := filepath.Join(dir, "runsc") // in a directory that others may enter
	data, err := os.ReadFile(runtime)
	if err == nil {
		err = os.WriteFile(program, data, 0o755)
	}
	if err == nil {
		err = os.Chmod(dir, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, command := range []string{"run", "create", "state", "delete", "do"} {
		b := newBox(t, []string{"true"}, nil)
		cmd := exec.Command(program, "--root", b.root, command, b.id)
		cmd.Dir = dir
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		r := b.finish(cmd, "")
		if r.code != 1 || r.out != "" || strings.Count(r.err, "\n") != 1 || !strings.Contains(r.err, "needs root") {
			t.Errorf("%s: %+v", command, r)
		}
	}
}

// TestAnnotations: flags that annotations ask for count if root has allowed them.
func TestAnnotations(t *testing.T) {
	if native {
		t.Skip("runc has no such annotations")
	}
	list := filepath.Join(t.TempDir(), "allowed")
	write := func(text string, mode os.FileMode) {
		t.Helper()
		if err := errors.Join(os.WriteFile(list, []byte(text), mode), os.Chmod(list, mode)); err != nil {
			t.Fatal(err)
		}
	}
	run := func(key, value string) result {
		t.Helper()
		b := newBox(t, []string{"uname", "-r"}, func(s *specs.Spec) { s.Annotations = map[string]string{key: value, "other": "x"} })
		return b.do("", "--allowed-annotations", list, "run", b.id)
	}
	const release = "dev.garrison.kernel-release"
	for _, c := range []struct {
		text             string
		mode             os.FileMode
		key, value, want string
	}{
		{"platform\n", 0o644, release, "9.9.9", release + "=9.9.9: not allowed on this host"},
		{"kernel-release\n", 0o646, release, "9.9.9", "must be root's, and writable by nobody else"},
		{"kernel-release\nroot\n", 0o644, "dev.garrison.root", "/tmp", "no such flag"},
		{"platform\n", 0o644, "dev.garrison.platform", "nonsense", "no such platform"},
		{"debug\n", 0o644, "dev.garrison.debug", "nonsense", "invalid syntax"},
		// Whoever has the tenants choose among networks has not meant the host's.
		{"network\n", 0o644, "dev.garrison.network", "host", "network=host: not allowed on this host"},
		{"network=none\n", 0o644, "dev.garrison.network", "host", "network=host: not allowed on this host"},
		{"network=none\n", 0o644, "dev.garrison.network", "sandbox", "network=sandbox: not allowed on this host"},
		{"rootfs\nrootfs=/image\n", 0o644, "dev.garrison.rootfs", "/other", "rootfs=/other: not allowed on this host"},
		{"rootfs=/none\n", 0o644, "dev.garrison.rootfs", "/none", "open /none: no such file or directory"},
	} {
		write(c.text, c.mode)
		if r := run(c.key, c.value); r.code == 0 || !strings.Contains(r.words(), c.want) {
			t.Errorf("%s=%s: %+v", c.key, c.value, r)
		}
	}
	write("# what tenants may choose\nkernel-release # uname\n", 0o644)
	if r := run(release, "9.9.9"); r.code != 0 || r.out != "9.9.9\n" {
		t.Errorf("%+v", r)
	}
	if err := os.Remove(list); err != nil {
		t.Fatal(err)
	}
	if r := run(release, "9.9.9"); r.code == 0 || !strings.Contains(r.words(), "not allowed") {
		t.Errorf("%+v", r)
	}
}

// TestDebugLogName: a log for each container and command.
func TestDebugLogName(t *testing.T) {
	if native {
		t.Skip("runc has no such flag")
	}
	dir := t.TempDir()
	b := newBox(t, []string{"true"}, nil)
	if r := b.do("", "--debug-log", filepath.Join(dir, "%ID%.%COMMAND%.log"), "run", b.id); r.code != 0 {
		t.Errorf("%+v", r)
	}
	if _, err := os.Stat(filepath.Join(dir, b.id+".run.log")); err != nil {
		t.Error(err)
	}
}
