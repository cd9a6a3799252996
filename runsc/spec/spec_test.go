package spec

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

func bundle(t *testing.T, config string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "rootfs"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, ConfigName), []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestExampleIsValid(t *testing.T) {
	data, err := json.Marshal(Example())
	if err != nil {
		t.Fatal(err)
	}
	dir := bundle(t, string(data))
	s, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	if want := filepath.Join(dir, "rootfs"); s.Root.Path != want {
		t.Errorf("root %s, want %s", s.Root.Path, want)
	}
}

// drop leaves the namespace kind to the host.
func drop(s *specs.Spec, kind specs.LinuxNamespaceType) {
	s.Linux.Namespaces = slices.DeleteFunc(s.Linux.Namespaces, func(ns specs.LinuxNamespace) bool { return ns.Type == kind })
}

func TestErrorsSayWhere(t *testing.T) {
	edit := func(f func(*specs.Spec)) string {
		s := Example()
		f(s)
		data, _ := json.Marshal(s)
		return string(data)
	}
	for _, c := range []struct{ config, want string }{
		{"{", "line 1: unexpected end of JSON input"},
		{"{\n\"ociVersion\": 3}", "line 2: ociVersion must be a string, not a number"},
		{"{}", "ociVersion is missing"},
		{edit(func(s *specs.Spec) { s.Version = "2.0.0" }), "ociVersion 2.0.0 is not supported"},
		{edit(func(s *specs.Spec) { s.Process = nil }), "process property must not be empty"},
		{edit(func(s *specs.Spec) { s.Process.Args = nil }), "args must not be empty"},
		{edit(func(s *specs.Spec) { s.Process.Cwd = "x" }), "Cwd must be an absolute path"},
		{edit(func(s *specs.Spec) { s.Process.Env = []string{"A=\x00"} }), "null byte"},
		{"[]", "line 1: the document must be an object, not an array"},
		{edit(func(s *specs.Spec) { s.Process.Env = []string{"FOO"} }), `invalid environment variable: "FOO"`},
		{edit(func(s *specs.Spec) { s.Process.Env = []string{"=x"} }), `invalid environment variable: "=x"`},
		{edit(func(s *specs.Spec) { n := 5000; s.Process.OOMScoreAdj = &n }), "oomScoreAdj must be from -1000 to 1000, not 5000"},
		{edit(func(s *specs.Spec) { s.Process.Scheduler = new(specs.Scheduler) }), "process.scheduler is not supported"},
		{edit(func(s *specs.Spec) { s.Linux.Seccomp = &specs.LinuxSeccomp{DefaultAction: "FOO"} }), "string FOO is not a valid action for seccomp"},
		{edit(func(s *specs.Spec) { s.Linux.Sysctl = map[string]string{"kernel.panic": "1"} }), `sysctl "kernel.panic" is not in a separate kernel namespace`},
		{edit(func(s *specs.Spec) {
			s.Linux.Sysctl = map[string]string{"kernel.domainname": "x"}
			s.Hostname = ""
			drop(s, specs.UTSNamespace)
		}), `sysctl "kernel.domainname" is not allowed in the hosts uts namespace`},
		{edit(func(s *specs.Spec) { drop(s, specs.PIDNamespace) }), "the host's pid namespace is not supported: guests see no host processes"},
		{edit(func(s *specs.Spec) {
			s.Linux.Sysctl = map[string]string{"net.ipv4.ip_forward": "1"}
			drop(s, specs.NetworkNamespace)
		}), `sysctl "net.ipv4.ip_forward" is not allowed in the hosts network namespace`},
		{edit(func(s *specs.Spec) {
			s.Linux.Sysctl = map[string]string{"net.ipv4.ip_forward": "1"}
			Namespace(s, specs.NetworkNamespace).Path = "/proc/self/ns/net"
		}), `sysctl "net.ipv4.ip_forward" is not allowed in the hosts network namespace`},
		{edit(func(s *specs.Spec) { drop(s, specs.IPCNamespace) }), "the host's ipc namespace is not supported"},
		{edit(func(s *specs.Spec) { drop(s, specs.UTSNamespace) }), "unable to set hostname without a private UTS namespace"},
		{edit(func(s *specs.Spec) { s.Process.Rlimits[0].Type = "RLIMIT_X" }), "invalid rlimit type: RLIMIT_X"},
		{edit(func(s *specs.Spec) { s.Root.Path = "none" }), "rootfs "},
		{edit(func(s *specs.Spec) { s.Root.Path = ConfigName }), "not a directory"},
		{edit(func(s *specs.Spec) { s.Windows = new(specs.Windows) }), "windows is not supported"},
		{edit(func(s *specs.Spec) { Namespace(s, specs.MountNamespace).Path = "/proc/1/ns/mnt" }), "joining the mount namespace at /proc/1/ns/mnt is not supported"},
		{edit(func(s *specs.Spec) { s.Hooks = &specs.Hooks{Poststop: []specs.Hook{{Path: "x"}}} }), "not absolute"},
	} {
		_, err := Load(bundle(t, c.config))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.80s: got %v, want %q", c.config, err, c.want)
		}
		if err != nil && strings.Contains(err.Error(), "\n") {
			t.Errorf("more than one line: %q", err)
		}
	}
	if _, err := Load("/no/such/bundle"); err == nil || err.Error() != "bundle /no/such/bundle: no such file or directory" {
		t.Errorf("missing bundle: %v", err)
	}
}

func TestParseMount(t *testing.T) {
	m := ParseMount(specs.Mount{Type: "tmpfs", Options: []string{"rw", "nosuid", "noexec", "exec", "mode=755", "size=64k"}})
	if m.Flags != unix.MS_NOSUID || m.Data != "mode=755,size=64k" || m.Bind {
		t.Errorf("%+v", m)
	}
	m = ParseMount(specs.Mount{Source: "/x", Options: []string{"rbind", "rprivate", "ro"}})
	if !m.Bind || !m.Recursive || m.Type != "bind" || m.Flags != unix.MS_RDONLY || m.Data != "" {
		t.Errorf("%+v", m)
	}
}

func TestSizes(t *testing.T) {
	for in, want := range map[string]uint64{"1": 1, "64k": 65536, "2m": 2 << 20, "3G": 3 << 30} {
		if got, ok := ParseSize(in); !ok || got != want {
			t.Errorf("%s: %d %v", in, got, ok)
		}
	}
	for _, bad := range []string{"", "k", "x", "-1", "99999999999999999999", "18446744073709551615k"} {
		if _, ok := ParseSize(bad); ok {
			t.Errorf("%q is a size", bad)
		}
	}
}

func TestNames(t *testing.T) {
	if n, ok := RlimitNumber("RLIMIT_NOFILE"); !ok || n != unix.RLIMIT_NOFILE {
		t.Error(n, ok)
	}
	if n, ok := Capability("cap_sys_admin"); !ok || n != unix.CAP_SYS_ADMIN {
		t.Error(n, ok)
	}
	if LastCapability != unix.CAP_LAST_CAP {
		t.Errorf("last capability is %d", LastCapability)
	}
	set, unknown := CapabilitySet([]string{"CAP_CHOWN", "CAP_NOPE"})
	if set != 1 || len(unknown) != 1 {
		t.Error(set, unknown)
	}
}

func TestHostNetwork(t *testing.T) {
	for _, c := range []struct {
		namespaces []specs.LinuxNamespace
		want       bool
	}{
		{nil, true},
		{[]specs.LinuxNamespace{{Type: specs.NetworkNamespace}}, false},
		{[]specs.LinuxNamespace{{Type: specs.NetworkNamespace, Path: "/proc/self/ns/net"}}, true},
		{[]specs.LinuxNamespace{{Type: specs.NetworkNamespace, Path: "/no/such/namespace"}}, false},
	} {
		s := &specs.Spec{Linux: &specs.Linux{Namespaces: c.namespaces}}
		if got := HostNetwork(s); got != c.want {
			t.Errorf("%v: %v", c.namespaces, got)
		}
	}
}
