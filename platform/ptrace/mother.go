package ptrace

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"garrison/platform/arch"
	"garrison/platform/script"
	"garrison/platform/stub"
)

// A mother is the stub that every clean stub is cloned from. It is the only
// one made by exec, while the sentry may still do that, and is served by one
// goroutine, whose OS thread is its tracer.
type mother struct {
	p      *Platform
	thread thread
	wanted chan chan<- made // stubs somebody waits for
	refill chan struct{}    // the pool has been used
	pool   chan process     // clean stubs, ready
	alive  int              // writing end of all stubs' lifeline
	stop   chan struct{}
	ended  chan struct{}
}

type made struct {
	stub process
	err  error
}

// errReleased is what becomes of a use of a platform after its end.
var errReleased = errors.New("ptrace: platform has been released")

// startMother makes the mother stub and waits until it is ready.
func startMother(p *Platform, o Options) (*mother, error) {
	m := &mother{
		p:      p,
		wanted: make(chan chan<- made),
		refill: make(chan struct{}, 1),
		pool:   make(chan process, o.Pool),
		stop:   make(chan struct{}),
		ended:  make(chan struct{}),
		alive:  -1,
	}
	ready := make(chan error, 1)
	go m.run(o, ready)
	if err := <-ready; err != nil {
		<-m.ended
		return nil, err
	}
	return m, nil
}

// run is the mother's goroutine.
func (m *mother) run(o Options, ready chan<- error) {
	// The thread is not unlocked: it ends with this goroutine.
	runtime.LockOSThread()
	defer close(m.ended)
	defer m.end()
	if err := m.prepare(o); err != nil {
		ready <- fmt.Errorf("ptrace: start stub: %w", err)
		return
	}
	ready <- nil
	for {
		select {
		case <-m.stop:
			return
		case reply := <-m.wanted:
			st, err := m.makeStub()
			reply <- made{st, err}
		case <-m.refill:
			if len(m.pool) == cap(m.pool) {
				continue
			}
			// One at a time: somebody may want one meanwhile.
			if st, err := m.makeStub(); err == nil {
				m.pool <- st
				m.askRefill()
			}
		}
	}
}

// stub returns a clean stub, from the pool if it has one.
func (m *mother) stub() (process, error) {
	for {
		select {
		case st := <-m.pool:
			m.askRefill()
			// Something outside may have killed it while it waited.
			if pid, err := unix.Wait4(st.pid, nil, unix.WALL|unix.WNOHANG, nil); pid == 0 && err == nil {
				return st, nil
			}
			m.p.slots.put(st.slot)
			continue
		default:
		}
		break
	}
	reply := make(chan made, 1)
	select {
	case m.wanted <- reply:
		r := <-reply
		m.askRefill()
		return r.stub, r.err
	case <-m.ended:
		return process{}, errReleased
	}
}

func (m *mother) askRefill() {
	select {
	case m.refill <- struct{}{}:
	default:
	}
}

// makeStub makes the mother clone itself.
func (m *mother) makeStub() (process, error) {
	sl, err := m.p.slots.get()
	if err != nil {
		return process{}, err
	}
	pid, err := m.thread.clone(forkFlags, sl.offset())
	if err != nil {
		m.p.slots.put(sl)
		if errors.Is(err, errKilled) {
			m.thread.pid = 0 // reaped already
		}
		return process{}, err
	}
	return process{pid, sl}, nil
}

// end kills the mother and the stubs that nobody has taken.
func (m *mother) end() {
	for {
		select {
		case st := <-m.pool:
			killStub(st.pid)
			continue
		default:
		}
		break
	}
	if m.thread.pid != 0 {
		killStub(m.thread.pid)
	}
	unix.Close(m.alive)
}

func killStub(pid int) {
	_ = unix.Kill(pid, unix.SIGKILL)
	reap(pid)
}

// prepare makes the mother and brings it into the state that all stubs start
// with.
func (m *mother) prepare(o Options) error {
	if err := m.start(o); err != nil {
		return err
	}
	t := &m.thread
	if err := t.seize(); err != nil {
		if scope := stub.Sysctl(o.Proc, "kernel/yama/ptrace_scope", 0); scope > 1 {
			return fmt.Errorf("%w: kernel.yama.ptrace_scope is %d, must be at most 1", err, scope)
		}
		return err
	}
	if err := m.clear(o); err != nil {
		return err
	}
	for i, w := range filterWords(scratchFilter) {
		if err := ptrace(unix.PTRACE_POKEDATA, t.tid, uintptr(scratchFilter+8*i), uintptr(w)); err != nil {
			return fmt.Errorf("write filter: %w", err)
		}
	}
	const setModeFilter, specAllow = 1, 4
	if _, err := t.call(unix.SYS_SECCOMP, setModeFilter, specAllow, scratchFilter); err != nil {
		return fmt.Errorf("seccomp: %w", err)
	}
	b := make([]byte, 1<<16)
	n, err := getXState(t.tid, b)
	if err != nil {
		return fmt.Errorf("read floating-point state: %w", err)
	}
	m.p.initialFPU = b[:n:n]
	return nil
}

// start executes the mother and waits until its script is through.
func (m *mother) start(o Options) error {
	s := motherScript()
	elf, err := s.Memfd("stub-mother")
	if err != nil {
		return err
	}
	defer elf.Close()
	text, err := stub.TextMemfd(script.Text(stubAddress()))
	if err != nil {
		return err
	}
	defer text.Close()
	// Not os.Pipe: reading from it must block.
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
	files := []uintptr{
		stubSocket: uintptr(m.p.passer.rx), stubControl: m.p.slots.file.Fd(), stubLifeline: uintptr(lifeline[0]),
		motherText: text.Fd(), motherReport: w.Fd(), motherELF: elf.Fd(),
	}
	pid, err := syscall.ForkExec(o.Proc+"/self/fd/"+strconv.Itoa(motherELF), []string{"stub"},
		&syscall.ProcAttr{Files: files, Sys: &syscall.SysProcAttr{Pdeathsig: unix.SIGKILL}})
	w.Close()
	if err != nil {
		return fmt.Errorf("exec: %w", err)
	}
	m.thread.pid, m.thread.tid = pid, pid
	report, err := io.ReadAll(r)
	if err == nil {
		err = s.Error(report)
	}
	return err
}

// clear empties the mother's address space but for the stub window, to which
// it moves the host's vDSO if the host lets it.
func (m *mother) clear(o Options) error {
	pieces, err := stub.VDSOPieces(o.Proc + "/" + strconv.Itoa(m.thread.pid) + "/maps")
	if err != nil {
		return err
	}
	f := &m.p.facts
	left, err := m.moveVDSO(pieces)
	if err != nil {
		return err
	}
	low := arch.Range{Start: stub.MinAddr(o.Proc), End: stubWindow}
	f.User = []arch.Range{low}
	if left.Len() > 0 && left.Overlaps(low) {
		f.User = []arch.Range{{Start: low.Start, End: left.Start}, {Start: left.End, End: low.End}}
	}
	high := arch.Range{Start: stubVDSO, End: taskSize}
	if left.Len() == 0 {
		high.Start = max(high.Start, f.VDSO.End)
	}
	for _, r := range []arch.Range{{End: stubWindow}, high} {
		for _, part := range []arch.Range{{Start: r.Start, End: min(r.End, left.Start)}, {Start: max(r.Start, left.End), End: r.End}} {
			if left.Len() == 0 {
				part = r
			}
			if part.Start >= part.End {
				continue
			}
			if _, err := m.thread.call(unix.SYS_MUNMAP, uint64(part.Start), part.Len()); err != nil {
				return fmt.Errorf("munmap: %w", err)
			}
		}
	}
	return nil
}

// moveVDSO moves the host's vDSO into the stub window and says so in the
// facts. left is where it stays if it can't be moved.
func (m *mother) moveVDSO(pieces []arch.Range) (left arch.Range, err error) {
	if len(pieces) == 0 {
		return left, nil
	}
	f := &m.p.facts
	from := arch.Range{Start: pieces[0].Start, End: pieces[len(pieces)-1].End}
	to := arch.Addr(stubVDSO)
	for i, p := range pieces {
		at := stubVDSO + p.Start - from.Start
		_, err := m.thread.call(unix.SYS_MREMAP, uint64(p.Start), p.Len(), p.Len(),
			unix.MREMAP_MAYMOVE|unix.MREMAP_FIXED, uint64(at))
		if err != nil && i == 0 {
			left, to = from, from.Start // sealed, on hosts that seal it
			break
		}
		if err != nil {
			return left, fmt.Errorf("move vDSO: %w", err)
		}
	}
	f.VDSO = arch.Range{Start: to, End: to + arch.Addr(from.Len())}
	f.VDSOText = to + pieces[len(pieces)-1].Start - from.Start
	return left, nil
}
