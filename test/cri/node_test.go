package cri

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"garrison/test/engines"
)

// pluginsDir is where Debian keeps the plugins of CNI.
const pluginsDir = "/usr/lib/cni"

// Names of images.
const (
	boxImage   = "localhost/box:latest"
	pauseImage = "localhost/pause:latest"
)

// A node is a containerd of our own that serves CRI, as on a machine of a cluster's.
type node struct {
	dir     string // everything that it has
	machine int    // the process that keeps the daemon's namespaces
	daemon  int
	cgroups string                 // the cgroup of all pods
	restart func(meanwhile func()) // stops the daemon and starts another
	runtime cri.RuntimeServiceClient
	image   cri.ImageServiceClient
}

// configuration is containerd's, in which only the directory is to be filled in: it
// has all that is kept, and configurations of the network and of our shim. A pod is
// not spared when the machine lacks memory: root may not ask for that everywhere.
const configuration = `version = 2
root = "%[1]s/root"
state = "%[1]s/state"
[grpc]
  address = "%[1]s/s"
[ttrpc]
  address = "%[1]s/t"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "` + pauseImage + `"
  netns_mounts_under_state_dir = true
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "` + pluginsDir + `"
    conf_dir = "%[1]s/net.d"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      Root = "%[1]s/runc"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runsc]
    runtime_type = "io.containerd.runsc.v1"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runsc.options]
      TypeUrl = "runtimeoptions.v1.Options"
      ConfigPath = "%[1]s/runsc.toml"
`

// network is a configuration of CNI's: a bridge on the machine that all pods are at.
const network = `{
  "cniVersion": "0.4.0", "name": "pods",
  "plugins": [{"type": "bridge", "bridge": "` + bridge + `", "isGateway": true, "ipam": {
    "type": "host-local", "dataDir": "%s/ipam",
    "ranges": [[{"subnet": "` + subnet + `.0/24"}], [{"subnet": "fd88::/64"}]],
    "routes": [{"dst": "0.0.0.0/0"}, {"dst": "::/0"}]
  }}]
}`

// subnet is the beginning of all pods' addresses, and bridge what their links lead to, which
// stays when they go.
const (
	subnet = "10.88.77"
	bridge = "pods0"
)

// machine makes namespaces habitable and keeps them: interfaces end with the network
// that they are in, and so do the mounts over directories that nobody can choose.
// daemon becomes the daemon. Both leave their pid in the first argument.
const (
	machine = `ip link set lo up && mkdir -p /run/containerd && mount -t tmpfs none /run/containerd &&
mount -t tmpfs none /var/lib && echo $$ >"$1" && exec sleep infinity`
	daemon = `echo $$ >"$1" && exec containerd --config "$2"`
)

// startNode starts containerd with a network and our images.
func startNode(t *testing.T) *node {
	t.Helper()
	engines.Need(t, "containerd", "ctr", "containerd-shim-runc-v2", "runc", "unshare", "nsenter", "ip", filepath.Join(pluginsDir, "bridge"))
	dir, err := os.MkdirTemp(work, "n")
	if err != nil {
		t.Fatal(err)
	}
	n := &node{dir: dir, cgroups: "/" + filepath.Base(work)}
	for name, text := range map[string]string{
		"config.toml":            fmt.Sprintf(configuration, n.dir),
		"runsc.toml":             fmt.Sprintf("binary_name = %q\nroot = \"%s/runsc\"\n", runsc, n.dir),
		"net.d/10-pods.conflist": fmt.Sprintf(network, n.dir),
	} {
		path := filepath.Join(n.dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", filepath.Dir(runsc)+":"+os.Getenv("PATH")) // where the shim is
	n.connect(t)
	pid := filepath.Join(n.dir, "machine")
	engines.Daemon(t, work, func() bool { return readPid(pid, &n.machine) }, "unshare", "--mount", "--net", "sh", "-c", machine, "sh", pid)
	t.Cleanup(func() { n.sweep(t) })
	stop := n.start(t)
	n.restart = func(meanwhile func()) {
		stop()
		meanwhile()
		stop = n.start(t)
	}
	n.load(t, pauseImage, pause(t), "/pause")
	n.load(t, boxImage, engines.Box(t), "sh")
	return n
}

// start starts the daemon.
func (n *node) start(t *testing.T) (stop func()) {
	t.Helper()
	pid := filepath.Join(n.dir, "daemon")
	return engines.Daemon(t, work, func() bool { return n.ready() && readPid(pid, &n.daemon) },
		"nsenter", "--mount", "--net", "--target", strconv.Itoa(n.machine), "sh", "-c", daemon, "sh", pid, filepath.Join(n.dir, "config.toml"))
}

func readPid(path string, pid *int) bool {
	data, err := os.ReadFile(path)
	if err == nil {
		*pid, err = strconv.Atoi(strings.TrimSpace(string(data)))
	}
	return err == nil
}

// connect makes the clients, which reach whatever daemon there is.
func (n *node) connect(t *testing.T) {
	t.Helper()
	limit := func(ctx context.Context, method string, r, a any, c *grpc.ClientConn, do grpc.UnaryInvoker, o ...grpc.CallOption) error {
		ctx, cancel := context.WithTimeout(ctx, time.Minute)
		defer cancel()
		return do(ctx, method, r, a, c, o...)
	}
	c, err := grpc.NewClient("unix://"+filepath.Join(n.dir, "s"), grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithUnaryInterceptor(limit))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	n.runtime, n.image = cri.NewRuntimeServiceClient(c), cri.NewImageServiceClient(c)
}

// ready says whether pods can be run.
func (n *node) ready() bool {
	a, err := n.runtime.Status(context.Background(), &cri.StatusRequest{}, grpc.WaitForReady(false))
	if err != nil {
		return false
	}
	for _, c := range a.Status.Conditions {
		if !c.Status {
			return false
		}
	}
	return true
}

// load gives the daemon an image.
func (n *node) load(t *testing.T, name string, layer []byte, cmd ...string) {
	t.Helper()
	c := exec.Command("ctr", "--address", filepath.Join(n.dir, "s"), "--namespace", "k8s.io", "images", "import", "-")
	c.Stdin = bytes.NewReader(engines.Archive(t, name, layer, cmd...))
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("ctr images import: %v\n%s", err, out)
	}
	until(t, func() string { // CRI learns of it by an event
		a, err := n.image.ImageStatus(context.Background(), &cri.ImageStatusRequest{Image: &cri.ImageSpec{Image: name}})
		if err != nil || a.Image == nil {
			return fmt.Sprintf("no image %s: %v", name, err)
		}
		return ""
	})
}

// pause is the root filesystem of the pods' own containers.
func pause(t *testing.T) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "pause")
	build := exec.Command("go", "build", "-o", path, "./pause")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	program, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	a := engines.NewTar(t)
	a.Add(&tar.Header{Name: "pause", Typeflag: tar.TypeReg, Mode: 0o755}, program)
	return a.Bytes()
}

// until waits for nothing to be wrong.
func until(t *testing.T, wrong func() string) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		what := wrong()
		if what == "" {
			return
		}
		if time.Now().After(end) {
			t.Fatal(what)
		}
	}
}
