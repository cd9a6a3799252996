// Package gofer serves host files to a sandbox that it does not trust. It is the
// sandbox's only hand on host files: a process of its own, whose root holds nothing
// but the mounts it serves, that walks one path component at a time without ever
// following a link or stepping upwards, opens nothing but regular files and
// directories, and takes every id, name and length for a lie until checked.
package gofer

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"garrison/gofer/wire"
)

// Sockets says what a sandbox may do with the host's unix sockets in a mount.
type Sockets string

// The values of Sockets; the later ones include the earlier.
const (
	NoSockets      Sockets = ""        // a socket is a name
	ConnectSockets Sockets = "connect" // connect(2) to those the host has bound
	BindSockets    Sockets = "bind"    // bind(2) new ones, which the host can connect to
)

// A Mount is a file or a directory tree that the sandbox gets. Path is absolute in
// the gofer's own root, and is trusted.
//
// A mount must not carry MS_NOEXEC unless the guest shall see it so: descriptors
// are mapped by the sandbox, executably too.
type Mount struct {
	Path     string  `json:"path"`
	Root     int     `json:"-"`                  // if not 0: an O_PATH descriptor to take over, of which Path is only the name
	ReadOnly bool    `json:"readonly,omitempty"` // nothing is changed and no writable descriptor donated
	Shared   bool    `json:"shared,omitempty"`   // others change it too: the sandbox shall revalidate
	NoXDev   bool    `json:"noxdev,omitempty"`   // what is mounted below is not there
	Sockets  Sockets `json:"sockets,omitempty"`
}

// A Config is what a gofer serves.
type Config struct {
	Mounts []Mount `json:"mounts"`
	// MaxOpen is how many descriptors of files it keeps open; those least recently
	// used are closed, and opened again by name when needed. 0 is a good default.
	MaxOpen int `json:"max_open,omitempty"`
	// Proc is a descriptor of the directory /proc/self/fd of the serving process.
	// There is no other way to open, relabel or link exactly the file that an
	// O_PATH descriptor stands for. It need not be reachable by a path.
	Proc int `json:"-"`
}

const (
	// defaultOpen is the default for Config.MaxOpen.
	defaultOpen = 768
	// maxFixed bounds the descriptors of files in use that have lost their names.
	maxFixed = 8192
	// maxNodes bounds what a sandbox can make the gofer remember.
	maxNodes = 1 << 20
	// maxConns bounds the connections, and so the threads.
	maxConns = 64
	// drainTime is how long connections have to end once the first one has.
	drainTime = 2 * time.Second
)

// server is a running gofer.
type server struct {
	ops     *[wire.NumOps]handler
	proc    int
	trees   []*tree
	maxOpen int
	hasAt   bool // the kernel knows getxattrat(2) and its siblings

	helpers int          // threads beside their own that may work on requests
	helping atomic.Int64 // and that do

	// names is held for writing while names change and for reading while a node's
	// name is turned into a descriptor, so that a node is never taken for lost
	// because it is just being renamed.
	names sync.RWMutex

	mu       sync.Mutex
	nodes    nodeTable
	open     lru // nodes with a descriptor that may be closed
	conns    map[*conn]bool
	closing  bool
	listings []listing

	watch watcher
	wg    sync.WaitGroup
}

// A tree is one mount.
type tree struct {
	Mount
	root  *node
	mntID uint64
	byKey map[key]*node // protected by server.mu
}

// Serve serves cfg to the sandbox at the other end of fd, which it takes over, until
// that hangs up. See Prepare.
func Serve(fd int, cfg Config) error {
	s := &server{ops: &handlers, proc: cfg.Proc, maxOpen: cfg.MaxOpen, conns: map[*conn]bool{}}
	if s.maxOpen <= 0 {
		s.maxOpen = defaultOpen
	}
	s.hasAt = probeXattrAt(s.proc)
	s.helpers = min(runtime.NumCPU()-1, maxHelpers)
	s.watch.init(s)
	var wc *wire.Conn
	err := s.addTrees(cfg.Mounts)
	if err == nil {
		wc, err = wire.NewConn(fd)
	}
	if err != nil {
		s.closeFiles()
		unix.Close(fd)
		return err
	}
	first := &conn{s: s, wire: wc}
	s.conns[first] = true
	err = first.serve(nil)
	s.mu.Lock()
	s.closing = true
	for c := range s.conns {
		c.wire.Shutdown()
	}
	s.mu.Unlock()
	s.watch.close()
	if !s.drained() {
		return errors.New("gofer: the sandbox hung up but holds on to connections")
	}
	s.closeFiles()
	if errors.Is(err, wire.ErrClosed) {
		return nil
	}
	return err
}

// drained waits until no connection is being served any more. A sandbox that has hung
// up has closed them all, unless it is up to something: then the process's end must do.
func (s *server) drained() bool {
	done := make(chan struct{})
	go func() {
		s.wg.Wait()
		close(done)
	}()
	select {
	case <-done:
		return true
	case <-time.After(drainTime):
		return false
	}
}

func (s *server) addTrees(mounts []Mount) error {
	for _, m := range mounts {
		if err := s.addTree(m); err != nil {
			return err
		}
	}
	return nil
}

// addTree opens the root of a mount.
func (s *server) addTree(m Mount) error {
	fd, err := m.Root, error(nil)
	if fd == 0 {
		fd, err = unix.Open(m.Path, unix.O_PATH|unix.O_CLOEXEC, 0)
	}
	if err != nil {
		return fmt.Errorf("gofer: mount %s: %w", m.Path, err)
	}
	t := &tree{Mount: m, byKey: map[key]*node{}}
	var st unix.Statx_t
	if err := statx(fd, "", &st); err != nil {
		unix.Close(fd)
		return fmt.Errorf("gofer: mount %s: %w", m.Path, err)
	}
	t.mntID = st.Mnt_id
	t.root = &node{tree: t, key: keyOf(&st), typ: uint32(st.Mode) & unix.S_IFMT, fd: fd, fixed: true, refs: 1}
	if err := s.nodes.add(t.root); err != nil {
		unix.Close(fd)
		return fmt.Errorf("gofer: mount %s: %w", m.Path, err)
	}
	t.byKey[t.root.key] = t.root
	s.trees = append(s.trees, t)
	return nil
}

// closeFiles closes what the server has open, once nothing uses it any more.
func (s *server) closeFiles() {
	for _, n := range s.nodes.slot {
		if n.n != nil && n.n.fd >= 0 {
			unix.Close(n.n.fd)
		}
	}
	for _, l := range s.listings {
		unix.Close(l.fd)
	}
}
