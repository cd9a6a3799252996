package files

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

var root = flag.String("root", "/var/cache/garrison/suites", "the Debian root filesystem with fio, made by mksuites")

// fio writes a file at random by each of its ways to do so, and checks it.
const fio = `cd %s && for engine in psync pvsync mmap libaio; do
	fio --name=$engine --ioengine=$engine --iodepth=8 --rw=randrw --bsrange=512-64k --size=%s --numjobs=2 --thread --verify=crc32c --verify_fatal=1 --do_verify=1 --fallocate=posix --end_fsync=1 --output=fio.log || { cat fio.log; exit 1; }
	rm -f $engine.*
done && echo well`

// TestFio runs fio --verify.
func TestFio(t *testing.T) {
	if !long() {
		t.Skip("the long tier: make files")
	}
	if _, err := os.Stat(filepath.Join(*root, "usr/bin/fio")); err != nil {
		t.Fatalf("%v: make suites-root first", err)
	}
	debian := func(s *specs.Spec) {
		for at, dir := range map[string]string{"/usr": "usr", "/lib": "usr/lib", "/lib64": "usr/lib64", "/etc": "etc"} {
			s.Mounts = append(s.Mounts, specs.Mount{Destination: at, Type: "bind", Source: filepath.Join(*root, dir), Options: []string{"rbind", "ro"}})
		}
	}
	compare(t, patience, debian, func(dir string) []string {
		return []string{"/bin/busybox", "sh", "-c", fmt.Sprintf(fio, dir, "64M")}
	})
}
