package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	goruntime "runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"garrison/test/bench/relay"
	"garrison/test/bench/report"
	"garrison/test/bundle"
)

// The addresses of the two ends of a wire; guest/main.c has them, too.
const (
	insideAddr  = "10.78.0.2"
	outsideAddr = "10.78.0.1"
	subnet      = "10.78.0.0/24"
)

// lossyDelay is what a lossy wire delays each frame by, at either end: a round trip takes
// 50 ms. It is as if both had netem(8) with `delay 25ms`, and that one `loss 1%` whose frames
// a line loses.
const lossyDelay = 25 * time.Millisecond

// A wire is two network namespaces, the container's, and one in which this host is another
// machine, with a veth(4) between them or, on a lossy wire, a relay. They are files, as
// namespaces(7) can be mounted on.
type wire struct {
	inside, outside string
	relay           *relay.Relay // nil: the wire is not lossy
}

// The ends of a wire's relay.
const (
	insideEnd  = relay.First
	outsideEnd = relay.Second
)

func (b *bench) newWire(lossy bool) (*wire, error) {
	dir, err := os.MkdirTemp(b.dir, "wire")
	if err != nil {
		return nil, err
	}
	w := &wire{inside: dir + "/inside", outside: dir + "/outside"}
	for _, file := range []string{w.inside, w.outside} {
		if err := newNamespace(file); err != nil {
			w.close()
			return nil, err
		}
	}
	if lossy {
		w.relay, err = relay.New([2]string{w.inside, w.outside}, "eth0", lossyDelay)
	} else {
		err = ipIn(w.inside, "link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", w.outside)
	}
	if err == nil {
		err = w.configure()
	}
	if err != nil {
		w.close()
		return nil, err
	}
	return w, nil
}

// newNamespace mounts a fresh network namespace on a file.
func newNamespace(file string) error {
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		return err
	}
	done := make(chan error)
	go func() {
		goruntime.LockOSThread() // never unlocked: the thread ends with the goroutine
		err := unix.Unshare(unix.CLONE_NEWNET)
		if err == nil {
			err = unix.Mount("/proc/thread-self/ns/net", file, "", unix.MS_BIND, "")
		}
		done <- err
	}()
	if err := <-done; err != nil {
		return fmt.Errorf("network namespace: %w", err)
	}
	return nil
}

// configure gives the ends their addresses.
func (w *wire) configure() error {
	for file, addr := range map[string]string{w.inside: insideAddr, w.outside: outsideAddr} {
		commands := []string{"link set lo up", "addr add " + addr + "/24 dev eth0", "link set eth0 up"}
		if w.relay != nil {
			// Where segments are lost the algorithm is all: BBR, which hosts may have, gets
			// fifty times as much through as Linux's default. The sysctl would have this
			// only where the host allows it to all its users.
			commands = append(commands, "route change "+subnet+" dev eth0 proto kernel scope link src "+addr+" congctl cubic")
		}
		for _, args := range commands {
			if err := ipIn(file, strings.Fields(args)...); err != nil {
				return err
			}
		}
	}
	return nil
}

// losing does something while what comes from one end is lost. It fails if the wire did not
// do what it should.
func (w *wire) losing(from relay.End, seed uint64, do func() error) error {
	before := w.relay.Counts(from).Lost
	w.relay.Lose(from, seed)
	err := do()
	w.relay.Lose(relay.Neither, 0)
	if w.relay.Counts(from).Lost == before {
		err = errors.Join(err, errors.New("the wire has lost nothing"))
	}
	return errors.Join(err, w.relay.Err())
}

func (w *wire) close() {
	if w.relay != nil {
		w.relay.Close()
	}
	for _, file := range []string{w.inside, w.outside} {
		_ = unix.Unmount(file, unix.MNT_DETACH)
	}
	os.RemoveAll(filepath.Dir(w.inside))
}

// in runs a command in a network namespace.
func in(file string, args ...string) error {
	_, err := onHost("", nil, "nsenter", append([]string{"--net=" + file}, args...)...)
	return err
}

func ipIn(file string, args ...string) error { return in(file, append([]string{"ip"}, args...)...) }

// A host is the other machine at the wire of a container in which servers run.
type host struct {
	b       *bench
	wire    *wire
	seed    uint64 // of which segments a lossy wire loses
	c       *container
	undo    func()
	servers *exec.Cmd
}

// networked makes a wire, a container at its one end, and servers at both. The caller
// closes it.
func (b *bench) networked(ctx context.Context, rt runtime, lossy bool) (_ *host, err error) {
	h := &host{b: b, undo: func() {}}
	defer func() {
		if err != nil {
			h.close()
		}
	}()
	if lossy {
		// The rate is a matter of luck with so few losses: in each round it is another
		// one, the same for all runtimes.
		b.seeds[rt.Name]++
		h.seed = b.seeds[rt.Name]
	}
	if h.wire, err = b.newWire(lossy); err != nil {
		return nil, err
	}
	s := bundle.Spec("/bin/sh", "/bench/network/serve")
	for i := range s.Linux.Namespaces {
		if n := &s.Linux.Namespaces[i]; n.Type == "network" {
			n.Path = h.wire.inside
		}
	}
	dir, err := b.box(b.dir, s)
	if err != nil {
		return nil, err
	}
	unmount, err := bundle.Overlay(dir, b.layer+":"+b.clients+":"+b.debian)
	if err != nil {
		return nil, err
	}
	h.undo = func() { unmount(); os.RemoveAll(dir) }
	if rt.Kind == report.GVisor {
		rt.oci.Flags = slices.Clone(rt.oci.Flags)
		for i, f := range rt.oci.Flags {
			rt.oci.Flags[i] = strings.Replace(f, "--network=none", "--network=sandbox", 1)
		}
	}
	if rt.Kind == report.GVisor {
		reveal, err := hideRootNamespace()
		if err != nil {
			return nil, err
		}
		defer reveal()
	}
	if h.c, err = createOf(ctx, rt, dir); err != nil {
		return nil, err
	}
	return h, h.start(ctx)
}

// hideRootNamespace hides, from what this command starts, a file that old gVisor knows the
// host's own network namespace by, where it refuses to run: Linux has since had it in all.
func hideRootNamespace() (reveal func(), err error) {
	const dir = "/proc/sys/net"
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "mode=755"); err != nil {
		return nil, fmt.Errorf("mount on %s: %w", dir, err)
	}
	return func() { _ = unix.Unmount(dir, unix.MNT_DETACH) }, nil
}

// start starts both ends, and waits for the servers.
func (h *host) start(ctx context.Context) error {
	if _, err := h.c.command(ctx, "start", h.c.id); err != nil {
		return err
	}
	said, err := os.Create(filepath.Join(h.c.dir, "servers"))
	if err != nil {
		return err
	}
	defer said.Close()
	h.servers = h.native(context.Background(), outsideAddr, "exec sh /bench/network/serve")
	h.servers.Stdout, h.servers.Stderr = said, said
	h.servers.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := h.servers.Start(); err != nil {
		h.servers = nil
		return err
	}
	for _, end := range [][2]string{{outsideAddr, said.Name()}, {insideAddr, h.c.said}} {
		if _, err := h.outside(ctx, end[0], networkReady); err != nil {
			return fmt.Errorf("%w; the servers said: %s", err, lastOf(end[1]))
		}
	}
	return nil
}

// native is a script of bash on this host, in the namespace and the root of the other
// machine.
func (h *host) native(ctx context.Context, peer, script string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "nsenter", "--net="+h.wire.outside, "chroot", h.c.dir+"/rootfs", "/bin/bash", "-c", script)
	cmd.Env = h.b.talkEnv(peer, h.wire.relay != nil)
	return cmd
}

// outside runs a script on this host, to its end.
func (h *host) outside(ctx context.Context, peer, script string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, commandLimit)
	defer cancel()
	cmd := h.native(ctx, peer, script)
	cmd.WaitDelay = time.Second
	return output(cmd)
}

// inside runs a script in the container, to its end.
func (h *host) inside(ctx context.Context, _, script string) (string, error) {
	return h.c.command(ctx, "exec", h.c.id, "/bin/bash", "-c", script)
}

func (h *host) close() {
	if h.servers != nil {
		_ = syscall.Kill(-h.servers.Process.Pid, syscall.SIGKILL)
		_ = h.servers.Wait()
	}
	if h.c != nil {
		_ = h.c.remove()
	}
	h.undo()
	if h.wire != nil {
		h.wire.close()
	}
}
