package suites

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// TestPython runs modules of Python's own tests (libpython3.11-testsuite).
func TestPython(t *testing.T) {
	s := suite{
		name: "python",
		all: strings.Fields(`test_os test_posix test_posixpath test_subprocess test_signal test_threading test_threadsignals
			test_multiprocessing_fork test_mmap test_select test_selectors test_poll test_epoll
			test_pty test_openpty test_fcntl test_ioctl test_socket test_socketserver test_asyncio
			test_ssl test_httplib test_httpservers test_ftplib test_smtplib test_xmlrpc test_urllib2_localnet test_tempfile test_shutil test_pathlib test_glob test_io test_fileio test_file_eintr
			test_time test_resource test_eintr test_faulthandler test_fork1 test_wait3 test_wait4 test_largefile`),
		taste: strings.Fields("test_posix test_epoll test_pty test_fcntl test_resource"),
		// test_multiprocessing_fork takes Linux itself nine minutes where a fork takes
		// a millisecond.
		limit: 25 * time.Minute,
	}
	s.run(t)
}

// TestGo runs tests of Go's standard library, built on this host.
func TestGo(t *testing.T) {
	s := suite{
		name: "go",
		all: strings.Fields(`os os/exec os/signal os/user io io/fs io/ioutil path path/filepath syscall time sync sync/atomic
			runtime runtime/debug internal/poll internal/syscall/unix archive/tar archive/zip compress/bzip2 compress/flate
			compress/gzip compress/lzw compress/zlib net net/http`),
		taste: strings.Fields("os/exec syscall internal/poll"),
		limit: 10 * time.Minute,
	}
	goroot, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	binaries := t.TempDir()
	// Without the go command: what needs it says so and skips.
	s.env = []string{"GOROOT=" + strings.TrimSpace(string(goroot))}
	for _, part := range []string{"src", "lib"} {
		dir := filepath.Join(strings.TrimSpace(string(goroot)), part)
		s.mount = append(s.mount, bind(dir, dir))
	}
	s.mount = append(s.mount, bind(binaries, "/gotests"))
	s.prepare = func(t *testing.T, pkg string) {
		build := exec.Command("go", "test", "-c", "-o", filepath.Join(binaries, strings.ReplaceAll(pkg, "/", "_")+".test"), pkg)
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("go test -c %s: %v\n%s", pkg, err, out)
		}
	}
	s.run(t)
}

func bind(from, to string) specs.Mount {
	return specs.Mount{Source: from, Destination: to, Type: "bind", Options: []string{"rbind", "ro"}}
}
