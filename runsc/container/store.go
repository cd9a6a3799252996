package container

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"sort"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Errors in the words that Docker and containerd look for.
var (
	ErrNotExist   = errors.New("container does not exist")
	ErrExist      = errors.New("container with given ID already exists")
	ErrNotRunning = errors.New("container not running")
	ErrInvalidID  = errors.New("invalid container ID format")
	ErrEmptyID    = errors.New("container id cannot be empty")
)

// A Store is the directory that holds one directory for each container.
type Store struct {
	Root string
}

// names within a container's directory.
const (
	stateName = "state.json"
	lockName  = "lock"
	// removingPrefix starts the name of a directory that is being deleted.
	removingPrefix = ".removing."
	// ControlName is the unix socket on which the sentry answers, by a link in the
	// directory of each container of its sandbox.
	ControlName = "control.sock"
	// LogName is where the sentry and the gofer write what they have to say.
	LogName = "sandbox.log"
)

var validID = regexp.MustCompile(`^[\w+.-]+$`)

// CheckID says whether id can be the name of a container.
func CheckID(id string) error {
	switch {
	case id == "":
		return ErrEmptyID
	case !validID.MatchString(id) || id == "." || id == ".." || len(id) > 200:
		return ErrInvalidID
	}
	return nil
}

// Dir is the directory of container id.
func (s Store) Dir(id string) string { return filepath.Join(s.Root, id) }

// Create makes the directory of a new container and returns its locked record
// with nothing but the id filled in. Nothing is left behind if it fails.
func (s Store) Create(id string) (*Container, error) {
	if err := CheckID(id); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(s.Root, 0o700); err != nil {
		return nil, fmt.Errorf("state directory: %w", err)
	}
	dir := s.Dir(id)
	if err := os.Mkdir(dir, 0o700); err != nil {
		if errors.Is(err, fs.ErrExist) {
			return nil, ErrExist
		}
		return nil, fmt.Errorf("state directory: %w", err)
	}
	lock, err := lockFile(dir)
	if err != nil {
		_ = os.RemoveAll(dir)
		return nil, err
	}
	return &Container{State: State{ID: id}, dir: dir, lock: lock}, nil
}

// Open returns the record of container id, locked against other commands until
// Close. A directory without a record, left by a crash, counts as a container
// in which nothing runs, so that it can be deleted.
func (s Store) Open(id string) (*Container, error) { return s.open(id, true) }

// Peek is Open without the lock, for commands that only look: a command that
// holds the lock for long does not delay them. Save must not be called.
func (s Store) Peek(id string) (*Container, error) { return s.open(id, false) }

func (s Store) open(id string, locked bool) (*Container, error) {
	if err := CheckID(id); err != nil {
		return nil, err
	}
	dir := s.Dir(id)
	if _, err := os.Lstat(dir); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, ErrNotExist
		}
		return nil, err
	}
	c := &Container{dir: dir}
	if locked {
		lock, err := lockFile(dir)
		if err != nil {
			return nil, err
		}
		c.lock = lock
	}
	if err := c.load(id); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// List returns the records of all containers by id. Those that vanish or can't
// be read while it looks are left out.
func (s Store) List() ([]*Container, error) {
	entries, err := os.ReadDir(s.Root)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var all []*Container
	for _, e := range entries {
		if !e.IsDir() || strings.HasPrefix(e.Name(), removingPrefix) {
			continue
		}
		if c, err := s.Peek(e.Name()); err == nil {
			all = append(all, c)
		}
	}
	sort.Slice(all, func(i, j int) bool { return all[i].ID < all[j].ID })
	return all, nil
}

// lockFile takes the exclusive lock of a container's directory. It looks again
// once it has the lock: the directory may have been deleted while it waited.
func lockFile(dir string) (*os.File, error) {
	path := filepath.Join(dir, lockName)
	for {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, ErrNotExist
		}
		if err != nil {
			return nil, err
		}
		for {
			if err = unix.Flock(int(f.Fd()), unix.LOCK_EX); err != unix.EINTR {
				break
			}
		}
		if err != nil {
			f.Close()
			return nil, fmt.Errorf("lock %s: %w", path, err)
		}
		var held, named unix.Stat_t
		if unix.Fstat(int(f.Fd()), &held) == nil && unix.Stat(path, &named) == nil && held.Ino == named.Ino && held.Dev == named.Dev {
			return f, nil
		}
		f.Close()
	}
}

// A Container is the record of one container, as read or to be saved.
type Container struct {
	State

	dir  string
	lock *os.File // nil when only peeked at
}

// Dir is the container's directory.
func (c *Container) Dir() string { return c.dir }

// Close gives the lock back.
func (c *Container) Close() {
	if c.lock != nil {
		c.lock.Close()
		c.lock = nil
	}
}

func (c *Container) load(id string) error {
	data, err := os.ReadFile(filepath.Join(c.dir, stateName))
	if errors.Is(err, fs.ErrNotExist) {
		c.State = State{ID: id}
		return nil
	}
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, &c.State); err != nil {
		return fmt.Errorf("%s: %w", filepath.Join(c.dir, stateName), err)
	}
	return nil
}

// Save replaces the record on disk: readers see the old or the new one whole.
func (c *Container) Save() error {
	data, err := json.Marshal(&c.State)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(c.dir, stateName+"-*")
	if err != nil {
		return fmt.Errorf("save state: %w", err)
	}
	_, err = f.Write(data)
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(f.Name(), filepath.Join(c.dir, stateName))
	}
	if err != nil {
		_ = os.Remove(f.Name())
		return fmt.Errorf("save state: %w", err)
	}
	return nil
}

// Remove deletes the container's directory and gives the lock back. The id is
// free at once: nobody sees a directory that is half gone.
func (c *Container) Remove() error {
	defer c.Close()
	aside := filepath.Join(filepath.Dir(c.dir), removingPrefix+strconv.Itoa(os.Getpid())+"."+filepath.Base(c.dir))
	if err := os.Rename(c.dir, aside); err != nil {
		return err
	}
	return os.RemoveAll(aside)
}

// Sweep removes what is left of container id when a command was killed in Remove.
func (s Store) Sweep(id string) error {
	entries, err := os.ReadDir(s.Root)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, e := range entries {
		aside, ok := strings.CutPrefix(e.Name(), removingPrefix)
		if _, whose, _ := strings.Cut(aside, "."); ok && whose == id {
			err = errors.Join(err, os.RemoveAll(filepath.Join(s.Root, e.Name())))
		}
	}
	return err
}
