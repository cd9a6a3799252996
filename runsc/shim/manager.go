package shim

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/containerd/cgroups/v3"
	"github.com/containerd/cgroups/v3/cgroup1"
	"github.com/containerd/cgroups/v3/cgroup2"
	"github.com/containerd/containerd/mount"
	"github.com/containerd/containerd/namespaces"
	"github.com/containerd/containerd/runtime/v2/shim"
	runc "github.com/containerd/go-runc"
	"github.com/containerd/log"
	"golang.org/x/sys/unix"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

// name is the runtime that containerd starts this shim for.
const name = "io.containerd.runsc.v1"

// Main is the program: containerd calls it with "start" to have a shim, which is
// the same program without a command, and with "delete" when that is gone.
func Main(ctx context.Context) { shim.RunManager(ctx, manager{}) }

type manager struct{}

func (manager) Name() string { return name }

// Start makes sure that there is a shim for container id, whose bundle is the
// working directory, and returns where it listens.
func (manager) Start(ctx context.Context, id string, opts shim.StartOpts) (string, error) {
	d, err := describe(".")
	if err != nil {
		return "", err
	}
	address, err := shim.SocketAddress(ctx, opts.Address, d.group(id))
	if err != nil {
		return "", err
	}
	socket, err := shim.NewSocket(address)
	if shim.SocketEaddrinuse(err) {
		if shim.CanConnect(address) {
			return address, shim.WriteAddress(addressName, address)
		}
		// Whoever listened there has been killed.
		if err := shim.RemoveSocket(address); err != nil {
			return "", err
		}
		socket, err = shim.NewSocket(address)
	}
	if err != nil {
		return "", fmt.Errorf("shim socket: %w", err)
	}
	defer socket.Close()
	socket.SetUnlinkOnClose(false) // it is the other process's from now on
	err = shim.WriteAddress(addressName, address)
	if err == nil {
		err = serveOn(ctx, id, socket.File, opts)
	}
	if err != nil {
		_ = shim.RemoveSocket(address)
		return "", err
	}
	return address, nil
}

// serveOn starts the shim proper, which serves on a socket that listens.
func serveOn(ctx context.Context, id string, socket func() (*os.File, error), opts shim.StartOpts) error {
	cgroup, err := shimCgroup()
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	namespace, err := namespaces.NamespaceRequired(ctx)
	if err != nil {
		return err
	}
	f, err := socket()
	if err != nil {
		return err
	}
	defer f.Close()
	cmd := exec.Command(self, "-namespace", namespace, "-id", id, "-address", opts.Address)
	if opts.Debug {
		cmd.Args = append(cmd.Args, "-debug")
	}
	cmd.ExtraFiles = []*os.File{f}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return err
	}
	go func() { _ = cmd.Wait() }()
	err = shim.AdjustOOMScore(cmd.Process.Pid)
	if err == nil && cgroup != "" {
		err = joinCgroup(cgroup, cmd.Process.Pid)
	}
	if err != nil {
		_ = cmd.Process.Kill()
	}
	return err
}

// shimCgroup is the cgroup that the runtime's options, on standard input, want
// the shim to be in, or "".
func shimCgroup() (string, error) {
	data, err := io.ReadAll(os.Stdin)
	if err != nil {
		return "", fmt.Errorf("runtime options: %w", err)
	}
	var options anypb.Any
	if err := proto.Unmarshal(data, &options); err != nil {
		return "", fmt.Errorf("runtime options: %w", err)
	}
	c, err := readConfig(&options)
	if err != nil {
		return "", err
	}
	return c.ShimCgroup, nil
}

func joinCgroup(path string, pid int) error {
	if cgroups.Mode() == cgroups.Unified {
		g, err := cgroup2.Load(path)
		if err != nil {
			return fmt.Errorf("shim cgroup: %w", err)
		}
		return g.AddProc(uint64(pid))
	}
	g, err := cgroup1.Load(cgroup1.StaticPath(path))
	if err != nil {
		return fmt.Errorf("shim cgroup: %w", err)
	}
	return g.AddProc(uint64(pid))
}

// Stop removes what is left of container id, whose shim is gone.
func (manager) Stop(ctx context.Context, id string) (shim.StopStatus, error) {
	namespace, err := namespaces.NamespaceRequired(ctx)
	if err != nil {
		return shim.StopStatus{}, err
	}
	// The working directory is the bundle of a container of the same shim.
	wd, err := os.Getwd()
	if err != nil {
		return shim.StopStatus{}, err
	}
	bundle := filepath.Join(filepath.Dir(wd), id)
	c, err := loadConfig(bundle)
	if err != nil {
		return shim.StopStatus{}, err
	}
	newExits()
	if err := newRuntime(c, bundle, namespace).remove(ctx, id); err != nil {
		log.G(ctx).WithError(err).Warn("runsc delete")
	}
	if err := mount.UnmountRecursive(filepath.Join(bundle, rootfsName), unix.MNT_DETACH); err != nil {
		log.G(ctx).WithError(err).Warn("unmount the root filesystem")
	}
	if address, err := shim.ReadAddress(filepath.Join(bundle, addressName)); err == nil && !shim.CanConnect(address) {
		_ = shim.RemoveSocket(address)
	}
	pid, err := runc.ReadPidFile(filepath.Join(bundle, pidName))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		log.G(ctx).WithError(err).Warn("read the pid")
	}
	return shim.StopStatus{Pid: pid, ExitStatus: 128 + int(unix.SIGKILL), ExitedAt: time.Now()}, nil
}
