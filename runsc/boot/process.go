package boot

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"garrison/fs/tty"
	"garrison/runsc/control"
	"garrison/runsc/spec"
	"garrison/sentry/auth"
	"garrison/sentry/kernel"
	"garrison/sentry/limits"
	"garrison/sentry/linux"
	"garrison/sentry/usermem"
	"garrison/sentry/vfs"
)

// A process is one that the outside started: init, or what exec brought. A
// holder stands for it on the host.
type process struct {
	group   *kernel.ThreadGroup
	console *tty.Console // nil without a terminal
	holder  *os.File     // the socket to its holder
	pidfd   *os.File     // the holder itself

	reported chan struct{} // closed when the holder knows that it has ended
}

// newProcess makes a process as p describes it, with its files, ready to start.
func (ct *container) newProcess(p *specs.Process, in *control.Stdio, given *descriptors, mortal bool) (*process, error) {
	out := &process{reported: make(chan struct{})}
	var err error
	if out.holder, err = given.take(in.Holder); err != nil {
		return nil, fmt.Errorf("holder: %w", err)
	}
	if out.pidfd, err = given.take(in.HolderPID); err != nil {
		return nil, fmt.Errorf("holder: %w", err)
	}
	user, err := ct.mapUser(p.User)
	if err != nil {
		return nil, err
	}
	c, done := ct.rootContext(ct.guest.Mounts)
	defer done()
	ps, err := ct.processSpec(c, p, user)
	if err != nil {
		return nil, err
	}
	ps.Mortal = mortal
	o, err := ct.openStdio(c, in, given, user.UID, user.GID)
	if err != nil {
		return nil, err
	}
	defer o.release(c)
	ps.Files, out.console = o.files, o.console
	if o.console != nil {
		ps.Terminal = o.console.Terminal
		ct.addConsole(o.console.Terminal)
	}
	out.group, err = ct.guest.NewProcess(ps)
	if err != nil {
		return nil, startProblem(p.Args[0], ps.Path, err)
	}
	return out, nil
}

// processSpec turns the OCI's words into the kernel's, and finds the program. user is
// p's, mapped.
func (ct *container) processSpec(c vfs.Ctx, p *specs.Process, user specs.User) (*kernel.ProcessSpec, error) {
	ps := &kernel.ProcessSpec{
		Container: ct.guest, Argv: p.Args, Env: p.Env, Cwd: p.Cwd,
		Creds: ct.creds(p, user), Limits: rlimits(p.Rlimits), Umask: 0o022,
	}
	if p.User.Umask != nil {
		ps.Umask = linux.FileMode(*p.User.Umask) & 0o777
	}
	if p.OOMScoreAdj != nil {
		ps.OOMAdjust = int32(*p.OOMScoreAdj)
	}
	if err := ct.findCwd(c, p.Cwd); err != nil {
		return nil, err
	}
	if !hasVariable(p.Env, "HOME") {
		ps.Env = append(ps.Env[:len(ps.Env):len(ps.Env)], "HOME="+ct.home(c, p.User.UID))
	}
	name, err := ct.guest.Lookup(ps, p.Args[0], searchPath(p.Env))
	if err != nil {
		return nil, lookupProblem(p.Args[0], err)
	}
	ps.Path = name
	ps.Filter, ps.FilterFlags = ct.profile, ct.profileFlags()
	return ps, nil
}

// findCwd looks for the working directory, and makes init's if it is missing, as
// runc does.
func (ct *container) findCwd(c vfs.Ctx, cwd string) error {
	p, err := vfs.Resolve(c, vfs.At{Name: cwd, Flags: vfs.Directory})
	if errors.Is(err, linux.ENOENT) && ct.init == nil {
		p, err = mountPoint(c, cwd, false)
	}
	if err != nil {
		return &control.Problem{Message: fmt.Sprintf("unable to start container process: chdir to cwd (%q) set in config.json failed: %v", cwd, err)}
	}
	p.Drop()
	return nil
}

// creds are who the process p runs as: u, its user, mapped.
func (ct *container) creds(p *specs.Process, u specs.User) *auth.Creds {
	c := &auth.Creds{
		RUID: u.UID, EUID: u.UID, SUID: u.UID, FSUID: u.UID,
		RGID: u.GID, EGID: u.GID, SGID: u.GID, FSGID: u.GID,
		Groups: u.AdditionalGids, NoNewPrivs: p.NoNewPrivileges, UserNS: ct.userNS,
	}
	if p.Capabilities == nil {
		return c
	}
	set := func(names []string) auth.Caps {
		caps, unknown := spec.CapabilitySet(names)
		for _, n := range unknown {
			logf("capability %s: not known here", n)
		}
		return auth.Caps(caps)
	}
	c.Bounding = set(p.Capabilities.Bounding)
	c.Permitted = set(p.Capabilities.Permitted)
	c.Effective = set(p.Capabilities.Effective)
	c.Inheritable = set(p.Capabilities.Inheritable)
	c.Ambient = set(p.Capabilities.Ambient) & c.Permitted & c.Inheritable
	return c
}

// rlimits are the process's limits: Linux's for a first process, but for those
// that are given.
func rlimits(given []specs.POSIXRlimit) *limits.Set {
	set := limits.NewSet()
	for _, l := range given {
		if n, ok := spec.RlimitNumber(l.Type); ok {
			set.Set(limits.Kind(n), limits.Limit{Cur: l.Soft, Max: l.Hard})
		}
	}
	return set
}

// searchPath is where programs are looked for: nowhere if there is no PATH.
func searchPath(env []string) string {
	for i := len(env) - 1; i >= 0; i-- {
		if v, ok := strings.CutPrefix(env[i], "PATH="); ok {
			return v
		}
	}
	return ""
}

func hasVariable(env []string, name string) bool {
	for _, e := range env {
		if strings.HasPrefix(e, name+"=") {
			return true
		}
	}
	return false
}

// lookupProblem words a program that can't be run as runc does: engines look
// for these words.
func lookupProblem(name string, err error) *control.Problem {
	const prefix = "unable to start container process: exec: "
	switch {
	case errors.Is(err, linux.ENOENT) && !strings.Contains(name, "/"):
		return &control.Problem{Message: fmt.Sprintf("%s%q: executable file not found in $PATH", prefix, name), Code: 127}
	case errors.Is(err, linux.ENOENT), errors.Is(err, linux.ENOTDIR):
		return &control.Problem{Message: fmt.Sprintf("%s%q: stat %s: %v", prefix, name, name, err), Code: 127}
	}
	return &control.Problem{Message: fmt.Sprintf("%s%q: %v", prefix, name, err), Code: 126}
}

// startProblem words a program that was found but can't be started.
func startProblem(name, path string, err error) *control.Problem {
	if errors.Is(err, linux.ENOENT) { // its interpreter
		return &control.Problem{Message: fmt.Sprintf("unable to start container process: exec %s: %v", path, err), Code: 127}
	}
	return &control.Problem{Message: fmt.Sprintf("unable to start container process: exec: %q: %v", name, err), Code: 126}
}

// home is the home directory of user uid, as the container's /etc/passwd has it.
func (ct *container) home(c vfs.Ctx, uid uint32) string {
	const most = 1 << 20
	f, err := vfs.Open(c, vfs.At{Name: "/etc/passwd"}, vfs.OpenSpec{Flags: linux.O_RDONLY})
	if err != nil {
		return "/"
	}
	defer f.Release(c)
	buf := make([]byte, most)
	n, err := f.ReadAt(c, usermem.FromBytes(buf), 0)
	if err != nil {
		return "/"
	}
	for _, line := range strings.Split(string(buf[:n]), "\n") {
		if f := strings.Split(line, ":"); len(f) >= 6 && f[2] == strconv.FormatUint(uint64(uid), 10) && f[5] != "" {
			return f[5]
		}
	}
	return "/"
}
