package cmd

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// add and take are install and uninstall without their words.
func add(path, name string, r dockerRuntime) (bool, error) {
	return editDaemon(path, func(d daemonConfig) error { return d.add(name, r) })
}

func take(path, name string) (bool, error) {
	return editDaemon(path, func(d daemonConfig) error { return d.remove(name) })
}

func TestInstall(t *testing.T) {
	dir := t.TempDir()
	file, link := filepath.Join(dir, "real.json"), filepath.Join(dir, "daemon.json")
	const before = `{"log-driver": "local", "dns": ["10.0.0.1"], "big": 12345678901234567890, "runtimes": {"kata": {"runtimeType": "x", "options": {"a": 1}}}}`
	if err := os.WriteFile(file, []byte(before), 0o640); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("real.json", link); err != nil {
		t.Fatal(err)
	}
	r := dockerRuntime{Path: "/usr/local/bin/runsc", Args: []string{"--platform=ptrace"}}
	if changed, err := add(link, "runsc", r); err != nil || !changed {
		t.Fatal(changed, err)
	}
	if changed, err := add(link, "runsc", r); err != nil || changed {
		t.Errorf("twice: %v %v", changed, err)
	}
	data, _ := os.ReadFile(file)
	for _, want := range []string{`"log-driver": "local"`, "12345678901234567890", `"kata"`, `"a": 1`, `"--platform=ptrace"`, `"path": "/usr/local/bin/runsc"`} {
		if !strings.Contains(string(data), want) {
			t.Errorf("no %s in %s", want, data)
		}
	}
	if fi, err := os.Stat(file); err != nil || fi.Mode().Perm() != 0o640 {
		t.Error(fi.Mode(), err)
	}
	if fi, err := os.Lstat(link); err != nil || fi.Mode()&os.ModeSymlink == 0 {
		t.Error("the link was replaced", err)
	}
	r.Args = nil
	if changed, err := add(link, "runsc", r); err != nil || !changed {
		t.Errorf("other flags: %v %v", changed, err)
	}
	for _, want := range []bool{true, false} {
		if changed, err := take(link, "runsc"); err != nil || changed != want {
			t.Errorf("%v %v", changed, err)
		}
	}
	var was, is any
	data, _ = os.ReadFile(file)
	if json.Unmarshal([]byte(before), &was) != nil || json.Unmarshal(data, &is) != nil {
		t.Fatalf("%s", data)
	}
	if a, b := string(must(json.Marshal(was))), string(must(json.Marshal(is))); a != b {
		t.Errorf("%s\n%s", a, b)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".*")); len(left) > 0 {
		t.Error(left)
	}
}

func must(b []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return b
}

// TestInstallAlone: what install alone has made goes again.
func TestInstallAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "docker", "daemon.json")
	if _, err := add(path, "runsc", dockerRuntime{Path: "/runsc"}); err != nil {
		t.Fatal(err)
	}
	if _, err := take(path, "runsc"); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(path); !os.IsNotExist(err) {
		t.Error(err)
	}
	if changed, err := take(path, "runsc"); err != nil || changed {
		t.Error(changed, err)
	}
}

// TestInstallErrors: a file that is not understood, or would be of no use, stays.
func TestInstallErrors(t *testing.T) {
	path := filepath.Join(t.TempDir(), "daemon.json")
	for text, want := range map[string]string{
		`{"runtimes": `:     "not a JSON object",
		`[1]`:               "not a JSON object",
		`{"runtimes": [1]}`: `"runtimes"`,
		`{"default-runtime": "runsc", "runtimes": {"runsc": {"path": "/runsc"}}}`: `"default-runtime" is "runsc"`,
	} {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := take(path, "runsc"); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", text, err)
		}
		if data, _ := os.ReadFile(path); string(data) != text {
			t.Errorf("%s has become %s", text, data)
		}
	}
}
