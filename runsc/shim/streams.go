package shim

import (
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"sync"
	"time"
)

// The names of a process's streams as containerd gives them: each is "", a FIFO,
// or, for what the process writes, "file:///path".
type streamNames struct {
	stdin, stdout, stderr string
	terminal              bool
}

// A streams is what a process has for standard input, output and error, and what
// the shim has of it. It is the IO of a runsc command (go-runc).
//
// A container's init is given the FIFOs themselves: nothing stands between it and
// who reads them, nothing is lost or delayed, and the shim sleeps. When the sandbox
// has ended all the ends that it had are closed. A process of exec may leave
// children that keep its output open; its readers shall see the end all the same
// once it is deleted. So it has pipes, which the shim copies from and to the FIFOs.
//
// A terminal's streams are the FIFOs, which the shim copies to and from its master.
type streams struct {
	files  [3]*os.File // the process's, or what a terminal is shown on; closed once runsc has them
	copies sync.WaitGroup

	mu    sync.Mutex
	input io.Closer   // keeps standard input from its end
	held  []io.Closer // all that is to be closed in the end
}

// openStreams opens what the names say, to be given to a process as it is or,
// if relayed, by way of pipes.
func openStreams(n streamNames, relayed bool) (*streams, error) {
	s := &streams{}
	if err := s.open(n, relayed); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *streams) open(n streamNames, relayed bool) (err error) {
	if err := s.openInput(n.stdin, relayed); err != nil {
		return fmt.Errorf("stdin: %w", err)
	}
	if s.files[1], err = s.openOutput(n.stdout, relayed); err != nil {
		return fmt.Errorf("stdout: %w", err)
	}
	if s.files[2], err = s.openOutput(n.stderr, relayed); err != nil {
		return fmt.Errorf("stderr: %w", err)
	}
	return nil
}

func (s *streams) openInput(name string, relayed bool) (err error) {
	if name == "" {
		s.files[0], err = os.Open(os.DevNull)
		return err
	}
	r, w, err := openFIFO(name)
	if err != nil {
		return err
	}
	s.input = w
	s.hold(w)
	if !relayed {
		s.files[0] = r
		return nil
	}
	s.hold(r)
	pr, pw, err := os.Pipe()
	if err != nil {
		return err
	}
	s.files[0] = pr
	s.hold(pw)
	go func() { // not one of copies: nobody waits for input
		_, _ = io.Copy(pw, r)
		pw.Close()
	}()
	return nil
}

func (s *streams) openOutput(name string, relayed bool) (*os.File, error) {
	to, err := s.output(name)
	if err != nil || !relayed || name == "" {
		return to, err
	}
	s.hold(to)
	pr, pw, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	s.copy(to, pr)
	return pw, nil
}

// output opens the other side of what a process writes.
func (s *streams) output(name string) (*os.File, error) {
	if name == "" {
		return os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	}
	u, err := url.Parse(name)
	if err != nil {
		return nil, err
	}
	switch u.Scheme {
	case "", "fifo":
		r, w, err := openFIFO(u.Path)
		if err != nil {
			return nil, err
		}
		// While there is a reader, the process gets no SIGPIPE because clients, or
		// the daemon, come and go.
		s.hold(r)
		return w, nil
	case "file":
		return os.OpenFile(u.Path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	}
	return nil, fmt.Errorf("%s: unknown scheme; there are: fifo, file", name)
}

// openFIFO opens both ends of a FIFO, without waiting for anybody else.
func openFIFO(name string) (r, w *os.File, err error) {
	both, err := os.OpenFile(name, os.O_RDWR, 0) // does not wait, nor do the others then
	if err != nil {
		return nil, nil, err
	}
	defer both.Close()
	if i, err := both.Stat(); err != nil || i.Mode()&os.ModeNamedPipe == 0 {
		return nil, nil, errors.Join(fmt.Errorf("%s: not a FIFO", name), err)
	}
	if r, err = os.Open(name); err != nil {
		return nil, nil, err
	}
	if w, err = os.OpenFile(name, os.O_WRONLY, 0); err != nil {
		r.Close()
		return nil, nil, err
	}
	return r, w, nil
}

// attach shows a terminal, of which this is the master, on the files.
func (s *streams) attach(master *os.File) {
	go func() { _, _ = io.Copy(master, s.files[0]) }()
	s.copy(s.files[1], master)
}

// copy copies from one file to the other until the first ends or close is called.
func (s *streams) copy(to, from *os.File) {
	s.hold(from)
	s.copies.Go(func() {
		_, _ = io.Copy(to, from) // a terminal ends with EIO
		from.Close()
		to.Close()
	})
}

// hold has c closed by close.
func (s *streams) hold(c io.Closer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held = append(s.held, c)
}

// closeInput lets the process see the end of its input, after what clients have
// written and once they have closed it, too.
func (s *streams) closeInput() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.input != nil {
		s.input.Close()
	}
}

// drain waits for output to be copied, which may never end: a child may have it,
// and nobody may read it.
func (s *streams) drain(limit time.Duration) {
	done := make(chan struct{})
	go func() {
		s.copies.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(limit):
	}
}

// close closes all that the shim has.
func (s *streams) close() {
	_ = s.CloseAfterStart()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.held {
		c.Close()
	}
}

// Set gives a command of runsc the files.
func (s *streams) Set(c *exec.Cmd) { c.Stdin, c.Stdout, c.Stderr = s.files[0], s.files[1], s.files[2] }

// CloseAfterStart closes the files that a command of runsc has.
func (s *streams) CloseAfterStart() error {
	for _, f := range s.files {
		if f != nil {
			f.Close()
		}
	}
	return nil
}

// Close, Stdin, Stdout and Stderr complete go-runc's interface, which has no use for them.
func (s *streams) Close() error          { return nil }
func (s *streams) Stdin() io.WriteCloser { return nil }
func (s *streams) Stdout() io.ReadCloser { return nil }
func (s *streams) Stderr() io.ReadCloser { return nil }
