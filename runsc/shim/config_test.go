package shim

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	runcoptions "github.com/containerd/containerd/api/types/runc/options"
	runtimeoptions "github.com/containerd/containerd/api/types/runtimeoptions/v1"
	"github.com/containerd/typeurl/v2"
	"google.golang.org/protobuf/types/known/emptypb"
)

func TestParseConfig(t *testing.T) {
	c, err := parseConfig(`
root = "/r"
binary_name = "/b"
systemd_cgroup = true
[runsc_config]
platform = "ptrace"
debug = true
`, "here")
	if err != nil {
		t.Fatal(err)
	}
	if c.Root != "/r" || c.binary() != "/b" || !c.SystemdCgroup {
		t.Errorf("%+v", c)
	}
	if got, want := c.Flags, []string{"--debug=true", "--platform=ptrace"}; !reflect.DeepEqual(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	for text, want := range map[string]string{
		"rooot = 'x'":                        `here: unknown key "rooot"`,
		"[other]\nx = 1":                     `here: unknown key "other"`,
		"root = 1":                           "root",
		"[runsc_config]\nlog = 'x'":          "here: runsc_config.log: runsc's --log is set by the shim",
		"[runsc_config]\nplatform = ['kvm']": "here: runsc_config.platform: must be a string",
	} {
		if _, err := parseConfig(text, "here"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

// options wraps a message up as containerd sends it.
func options(t *testing.T, message any) typeurl.Any {
	t.Helper()
	a, err := typeurl.MarshalAny(message)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestReadConfig(t *testing.T) {
	path := filepath.Join(t.TempDir(), "runsc.toml")
	if err := os.WriteFile(path, []byte("root = '/from/file'"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := readConfig(options(t, &runtimeoptions.Options{ConfigPath: path}))
	if err != nil || c.Root != "/from/file" {
		t.Errorf("%+v %v", c, err)
	}
	c, err = readConfig(options(t, &runtimeoptions.Options{ConfigBody: []byte("root = '/from/body'")}))
	if err != nil || c.Root != "/from/body" {
		t.Errorf("%+v %v", c, err)
	}
	c, err = readConfig(options(t, &runcoptions.Options{Root: "/r", BinaryName: "b", SystemdCgroup: true, NoPivotRoot: true, ShimCgroup: "/s"}))
	if err != nil || c.Root != "/r" || c.binary() != "b" || !c.SystemdCgroup || !c.NoPivot || c.NoNewKeyring || c.ShimCgroup != "/s" {
		t.Errorf("%+v %v", c, err)
	}
	for want, message := range map[string]any{
		"CriuWorkPath":   &runcoptions.Options{CriuWorkPath: "/c"},
		"TaskApiAddress": &runcoptions.Options{TaskApiAddress: "/t"},
		"no such file":   &runtimeoptions.Options{ConfigPath: path + "x"},
	} {
		if _, err := readConfig(options(t, message)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", message, err, want)
		}
	}
}

func TestConfigIsKept(t *testing.T) {
	bundle := t.TempDir()
	want := &config{Binary: "/b", Root: "/r", SystemdCgroup: true, Flags: []string{"--platform=ptrace"}}
	if err := want.save(bundle); err != nil {
		t.Fatal(err)
	}
	if got, err := loadConfig(bundle); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v %v, want %+v", got, err, want)
	}
	if got, err := readConfig(options(t, &emptypb.Empty{})); err != nil || got == nil {
		t.Errorf("%+v %v", got, err)
	}
}
