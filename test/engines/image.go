package engines

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// A Tar is an archive that is being made.
type Tar struct {
	t *testing.T
	b bytes.Buffer
	w *tar.Writer
}

// NewTar is an empty archive.
func NewTar(t *testing.T) *Tar {
	a := &Tar{t: t}
	a.w = tar.NewWriter(&a.b)
	return a
}

// Add adds a file.
func (a *Tar) Add(h *tar.Header, data []byte) {
	a.t.Helper()
	h.Size = int64(len(data))
	if err := a.w.WriteHeader(h); err != nil {
		a.t.Fatal(err)
	}
	if _, err := a.w.Write(data); err != nil {
		a.t.Fatal(err)
	}
}

// Bytes is the archive, to which nothing is added any more.
func (a *Tar) Bytes() []byte {
	a.t.Helper()
	if err := a.w.Close(); err != nil {
		a.t.Fatal(err)
	}
	return a.b.Bytes()
}

// Box is a root filesystem as a tar archive: busybox and a few files.
func Box(t *testing.T) []byte {
	t.Helper()
	Need(t, "busybox")
	path, _ := exec.LookPath("busybox")
	program, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	a := NewTar(t)
	for _, d := range []string{"bin", "etc", "tmp", "root", "proc", "sys", "dev"} {
		a.Add(&tar.Header{Name: d + "/", Typeflag: tar.TypeDir, Mode: 0o755}, nil)
	}
	a.Add(&tar.Header{Name: "bin/busybox", Typeflag: tar.TypeReg, Mode: 0o755}, program)
	a.Add(&tar.Header{Name: "etc/passwd", Typeflag: tar.TypeReg, Mode: 0o644}, []byte("root:x:0:0:root:/root:/bin/sh\n"))
	applets, err := exec.Command(path, "--list").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, applet := range strings.Fields(string(applets)) {
		if applet != "busybox" {
			a.Add(&tar.Header{Name: "bin/" + applet, Typeflag: tar.TypeSymlink, Linkname: "busybox"}, nil)
		}
	}
	return a.Bytes()
}

// Archive wraps a root filesystem up as `docker save` does: an image with this name
// that runs cmd.
func Archive(t *testing.T, name string, layer []byte, cmd ...string) []byte {
	t.Helper()
	sum := fmt.Sprintf("sha256:%x", sha256.Sum256(layer))
	config, err := json.Marshal(map[string]any{
		"architecture": "amd64", "os": "linux", "config": map[string]any{"Cmd": cmd, "Env": []string{"PATH=/bin"}},
		"rootfs": map[string]any{"type": "layers", "diff_ids": []string{sum}},
	})
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := json.Marshal([]map[string]any{{"Config": "config.json", "RepoTags": []string{name}, "Layers": []string{"layer.tar"}}})
	if err != nil {
		t.Fatal(err)
	}
	a := NewTar(t)
	for _, f := range []struct {
		name string
		data []byte
	}{{"config.json", config}, {"layer.tar", layer}, {"manifest.json", manifest}} {
		a.Add(&tar.Header{Name: f.name, Typeflag: tar.TypeReg, Mode: 0o644}, f.data)
	}
	return a.Bytes()
}
