package systrap

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strconv"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"garrison/platform/arch"
	"garrison/platform/script"
	"garrison/platform/stub"
)

// Descriptors the mother has besides a stub's, until it is ready.
const (
	motherText     = 2
	motherListener = 2 // the lowest free one, when the filter is installed
	motherReport   = 3
	motherELF      = 4
)

// A mother is the stub that every clean stub is cloned from. It is the only one
// made by exec, while the sentry may still do that.
type mother struct {
	p     *Platform
	alive int // writing end of all stubs' lifeline
	spare int // how many clean stubs to have ready

	mu      sync.Mutex
	thread  *thread // nil after the platform's end
	pool    []vacancy
	coming  int         // how many stubs are about to come into the pool, by reserve
	trimmer *time.Timer // runs while there are some in it that have served, or nil
}

// errReleased is what becomes of a use of a platform after its end.
var errReleased = errors.New("systrap: platform has been released")

// openSignals is the set of signals that stubs don't block in guest code: the
// interrupt, and those that instructions raise.
const openSignals = 1<<(interruptSignal-1) | 1<<(unix.SIGSEGV-1) | 1<<(unix.SIGBUS-1) | 1<<(unix.SIGFPE-1) |
	1<<(unix.SIGILL-1) | 1<<(unix.SIGTRAP-1) | 1<<(unix.SIGSYS-1)

// textPages are where the pages of a stub's text are mapped, which lie one behind
// the other in their file. None touches another: each is a mapping of its own,
// which takes the host no memory to unmap.
var textPages = []uintptr{stubText, stubThreads, stubSolo}

// motherScript is what the mother does from its exec until its first system
// call is caught by the filter it has installed: it has the region at offset 0.
func motherScript(noBases bool) *script.Script {
	var s script.Script
	i := script.Int
	s.ReportTo(motherReport)
	// A process group of their own, and no session: hosts that give each session its
	// share of the processors (autogroups, sched(7)) would else let stubs wait for
	// seconds on end while the sentry runs, though neither can go on alone.
	s.Call("setpgid", unix.SYS_SETPGID, i(0), i(0))
	pid := s.Call("getpid", unix.SYS_GETPID)
	// Should the sentry end, so does the process group of all stubs: the last
	// writing end of the lifeline is closed then.
	group := s.Add(s.Xor(pid.Result(), script.Signed(-1)).Result(), i(1))
	const fSetSig = 10
	s.Call("fcntl F_SETOWN", unix.SYS_FCNTL, i(stubLifeline), i(unix.F_SETOWN), group.Result())
	s.Call("fcntl F_SETSIG", unix.SYS_FCNTL, i(stubLifeline), i(fSetSig), i(uintptr(unix.SIGKILL)))
	s.Call("fcntl O_ASYNC", unix.SYS_FCNTL, i(stubLifeline), i(unix.F_SETFL), i(unix.O_ASYNC))
	s.Call("prctl PR_SET_NAME", unix.SYS_PRCTL, i(unix.PR_SET_NAME), s.String("stub"))
	s.Call("prctl PR_SET_NO_NEW_PRIVS", unix.SYS_PRCTL, i(unix.PR_SET_NO_NEW_PRIVS), i(1), i(0), i(0), i(0))
	s.Call("clear ambient capabilities", unix.SYS_PRCTL, i(unix.PR_CAP_AMBIENT), i(unix.PR_CAP_AMBIENT_CLEAR_ALL), i(0), i(0), i(0)).Keep()
	header := s.Buffer(8)
	s.Store32(header.At(0), i(unix.LINUX_CAPABILITY_VERSION_3))
	s.Call("drop capabilities", unix.SYS_CAPSET, header.At(0), s.Buffer(24).At(0))
	s.Call("set RLIMIT_CORE", unix.SYS_SETRLIMIT, i(unix.RLIMIT_CORE), s.Buffer(16).At(0))

	mapWindow(&s)
	word := binary.LittleEndian.AppendUint64
	stack := s.Bytes(word(word(word(nil, stubRegions+contextSize), 0), stackEnd-contextSize))
	s.Call("sigaltstack", unix.SYS_SIGALTSTACK, stack, i(0))
	const sigInfo, onStack, restorer = 4, 0x08000000, 0x04000000
	action := s.Bytes(word(word(word(word(nil, stubText), sigInfo|onStack|restorer), stubText), math.MaxUint64))
	for sig := 1; sig < 64; sig++ {
		if openSignals>>(sig-1)&1 != 0 {
			s.Call("sigaction", unix.SYS_RT_SIGACTION, i(uintptr(sig)), action, i(0), i(8))
		}
	}
	// What a terminal or a supervisor sends to a whole group is not for stubs.
	mask := s.Bytes(word(nil, ^uint64(openSignals)))
	s.Call("block signals", unix.SYS_RT_SIGPROCMASK, i(unix.SIG_SETMASK), mask, i(0), i(8))

	// Descriptors that this process was itself born with survive an exec.
	s.Call("close descriptors", unix.SYS_CLOSE_RANGE, i(motherELF), i(math.MaxUint32), i(0))
	s.Call("close text", unix.SYS_CLOSE, i(motherText))
	code, n := filterBytes(noBases)
	program := s.Buffer(16)
	s.Store64(program.At(0), i(uintptr(n)))
	s.Store64(program.At(8), s.Bytes(code))
	const setModeFilter, specAllow, newListener = 1, 4, 8
	s.Call("seccomp", unix.SYS_SECCOMP, i(setModeFilter), i(specAllow|newListener), program.At(0))
	s.Call("enter the sentry", unix.SYS_GETPID)
	return &s
}

// mapWindow maps what every stub has in the stub window.
func mapWindow(s *script.Script) {
	i := script.Int
	for n, at := range textPages {
		prot := uintptr(unix.PROT_READ | unix.PROT_EXEC)
		if at == stubThreads {
			prot = unix.PROT_NONE
		}
		s.Call("map stub text", unix.SYS_MMAP, i(at), i(arch.PageSize), i(prot),
			i(unix.MAP_PRIVATE|unix.MAP_FIXED), i(motherText), i(uintptr(n)*arch.PageSize))
	}
	s.Call("map arguments", unix.SYS_MMAP, i(stubArgs), i(stub.NamesSize), i(unix.PROT_READ|unix.PROT_WRITE),
		i(unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_FIXED), script.Signed(-1), i(0))
	s.Call("map region", unix.SYS_MMAP, i(stubRegions), i(regionSize), i(unix.PROT_READ|unix.PROT_WRITE),
		i(unix.MAP_SHARED|unix.MAP_FIXED), i(stubControl), i(0))
}

// startMother makes the mother and brings it into the state that all stubs
// start with.
func startMother(p *Platform, o Options) (*mother, error) {
	m := &mother{p: p, alive: -1, spare: max(o.Pool, 0)}
	if err := m.start(o); err != nil {
		m.end()
		return nil, fmt.Errorf("systrap: start stub: %w", err)
	}
	if err := m.clear(o); err != nil {
		m.end()
		return nil, fmt.Errorf("systrap: prepare stub: %w", err)
	}
	return m, nil
}

// start executes the mother and waits until it is caught.
func (m *mother) start(o Options) error {
	s := motherScript(o.NoBases)
	elf, err := s.Memfd("stub-mother")
	if err != nil {
		return err
	}
	defer elf.Close()
	text, err := stub.TextMemfd(stubTexts(o.NoBases))
	if err != nil {
		return err
	}
	defer text.Close()
	var lifeline [2]int
	if err := unix.Pipe2(lifeline[:], unix.O_CLOEXEC); err != nil {
		return err
	}
	defer unix.Close(lifeline[0])
	m.alive = lifeline[1]
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer r.Close()
	region, err := m.p.regions.get(0)
	if err != nil {
		return err
	}
	region.begin(&m.p.gate, false)
	files := []uintptr{
		stubControl: m.p.regions.file.Fd(), stubLifeline: uintptr(lifeline[0]),
		motherText: text.Fd(), motherReport: w.Fd(), motherELF: elf.Fd(),
	}
	pid, err := syscall.ForkExec(o.Proc+"/self/fd/"+strconv.Itoa(motherELF), []string{"stub"}, &syscall.ProcAttr{Files: files})
	w.Close()
	if err != nil {
		return fmt.Errorf("exec: %w", err)
	}
	m.thread = &thread{p: m.p, region: region, pid: pid, tid: pid}
	if err := m.caught(s, r); err != nil {
		return err
	}
	listener, err := takeFD(pid, motherListener)
	if err != nil {
		if scope := stub.Sysctl(o.Proc, "kernel/yama/ptrace_scope", 0); scope > 1 {
			return fmt.Errorf("%w: kernel.yama.ptrace_scope is %d, must be at most 1", err, scope)
		}
		return err
	}
	_ = setSyncWakeUp(listener) // without it, wake-ups are a matter of luck
	m.p.verifier = newVerifier(listener)
	m.p.verifier.know(m.thread)
	_, err = m.thread.look()
	return err
}

// caught waits until the mother has told something, or has failed.
func (m *mother) caught(s *script.Script, r io.Reader) error {
	const once, often = time.Millisecond, 10000
	p := m.thread.region.page
	for range often {
		if p.loadState() == stateEvent {
			return nil
		}
		if !alive(m.thread.pid) {
			report, err := io.ReadAll(r)
			if err == nil {
				err = s.Error(report)
			}
			if err == nil {
				err = errKilled
			}
			return err
		}
		p.swapSentryWaits(1)
		futexWait(&p.state, stateGuest, once)
	}
	return errors.New("its program does not begin")
}

// takeFD returns a duplicate of a process's descriptor.
func takeFD(pid, fd int) (int, error) {
	pidfd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return 0, fmt.Errorf("pidfd_open: %w", err)
	}
	defer unix.Close(pidfd)
	got, err := unix.PidfdGetfd(pidfd, fd, 0)
	if err != nil {
		return 0, fmt.Errorf("pidfd_getfd: %w", err)
	}
	unix.CloseOnExec(got)
	return got, nil
}

// clear empties the mother's address space but for the stub window, to which
// it moves the host's vDSO if the host lets it, and takes its last descriptors.
func (m *mother) clear(o Options) error {
	pieces, err := stub.VDSOPieces(o.Proc + "/" + strconv.Itoa(m.thread.pid) + "/maps")
	if err != nil {
		return err
	}
	f := &m.p.facts
	left := m.moveVDSO(pieces)
	low := arch.Range{Start: stub.MinAddr(o.Proc), End: stubWindow}
	f.User = []arch.Range{low}
	if left.Len() > 0 && left.Overlaps(low) {
		f.User = []arch.Range{{Start: low.Start, End: left.Start}, {Start: left.End, End: low.End}}
	}
	// Its listener and report go: the control file is put in their place.
	control := int(m.p.regions.file.Fd())
	var calls []armed
	unmap := func(from, to arch.Addr) {
		if from < to {
			calls = append(calls, armed{call: stub.Call{Nr: unix.SYS_MUNMAP, Args: [6]uint64{uint64(from), uint64(to - from)}}})
		}
	}
	region := arch.Range{Start: stubRegions, End: stubRegions + regionSize}
	gaps := []arch.Range{{}}
	window := func(at, n uintptr) {
		gaps[len(gaps)-1].End = arch.Addr(at)
		gaps = append(gaps, arch.Range{Start: arch.Addr(at + n), End: stubVDSO})
	}
	for _, at := range textPages {
		window(at, arch.PageSize)
	}
	window(stubArgs, stub.NamesSize)
	for _, r := range append(gaps, arch.Range{Start: stubVDSO, End: region.Start}, arch.Range{Start: region.End, End: taskSize}) {
		for _, keep := range []arch.Range{left, f.VDSO} {
			if keep.Len() > 0 && r.Overlaps(keep) {
				unmap(r.Start, keep.Start)
				r.Start = max(r.Start, keep.End)
				break
			}
		}
		unmap(r.Start, r.End)
	}
	for i, fd := range []int{motherListener, motherReport} {
		calls[i].install, calls[i].source, calls[i].to = true, control, fd
	}
	return m.thread.do(calls)
}

// moveVDSO moves the host's vDSO into the stub window and says so in the
// facts. left is where it stays if it can't be moved.
func (m *mother) moveVDSO(pieces []arch.Range) (left arch.Range) {
	if len(pieces) == 0 {
		return left
	}
	f := &m.p.facts
	from := arch.Range{Start: pieces[0].Start, End: pieces[len(pieces)-1].End}
	to := arch.Addr(stubVDSO)
	var calls []armed
	for _, p := range pieces {
		calls = append(calls, armed{call: stub.Call{Nr: unix.SYS_MREMAP, Args: [6]uint64{
			uint64(p.Start), p.Len(), p.Len(), unix.MREMAP_MAYMOVE | unix.MREMAP_FIXED, uint64(to + p.Start - from.Start),
		}}})
	}
	if m.thread.do(calls[:1]) != nil {
		left, to = from, from.Start // sealed, on hosts that seal it
	} else if len(calls) > 1 && m.thread.do(calls[1:]) != nil {
		return from // torn apart: of no use to anybody
	}
	f.VDSO = arch.Range{Start: to, End: to + arch.Addr(from.Len())}
	f.VDSOText = to + pieces[len(pieces)-1].Start - from.Start
	return left
}

// stub returns a stub for a space.
func (m *mother) stub() (v vacancy, err error) {
	low := true
	defer func() {
		if low {
			go m.fill()
		}
	}()
	m.mu.Lock()
	defer m.mu.Unlock()
	for len(m.pool) > 0 {
		// The last one: that is the likeliest to have the files that are wanted.
		v := m.pool[len(m.pool)-1]
		m.pool = m.pool[:len(m.pool)-1]
		if alive(v.thread.pid) {
			low = len(m.pool) < m.spare
			return v, nil
		}
		m.p.finish(v.thread)
	}
	v.thread, err = m.makeLocked()
	return v, err
}

func (m *mother) makeLocked() (*thread, error) {
	if m.thread == nil {
		return nil, errReleased
	}
	return m.thread.fork(0)
}

// fill makes clean stubs in advance.
func (m *mother) fill() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fillLocked()
}

func (m *mother) fillLocked() {
	for len(m.pool) < m.spare {
		t, err := m.makeLocked()
		if err != nil {
			return
		}
		m.pool = append(m.pool, vacancy{thread: t})
	}
}

// end kills the mother and the stubs that nobody has taken.
func (m *mother) end() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, v := range m.pool {
		m.p.finish(v.thread)
	}
	m.pool = nil
	if m.trimmer != nil {
		m.trimmer.Stop()
	}
	if m.thread != nil {
		m.p.finish(m.thread)
		m.thread = nil
	}
	if m.alive >= 0 {
		unix.Close(m.alive)
	}
}

// finish kills the process of t, whose only thread it is, and waits for its end.
func (p *Platform) finish(t *thread) {
	kill(t.pid)
	if p.verifier != nil {
		t.end(true)
	}
	p.regions.put(t.region)
}

// kill ends a stub process and reaps it.
func kill(pid int) {
	_ = unix.Kill(pid, unix.SIGKILL)
	for {
		if _, err := unix.Wait4(pid, nil, unix.WALL, nil); err != unix.EINTR {
			return
		}
	}
}
