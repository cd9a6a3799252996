package sandbox

import (
	"bufio"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"syscall"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"garrison/runsc/container"
)

// The sentries of a host run as users of their own, so that they share no
// quota, keyring or signal permission with each other or with anybody else.
// The range is one that no distribution gives to people or services.
const (
	firstUID = 0x60000000
	uidCount = 0x08000000
)

// chooseUID returns a host user id that no other container of the store uses.
// Other stores on the host choose from the same wide range at random.
func chooseUID(store container.Store) (uint32, error) {
	first, count, err := mappedRange("/proc/self/uid_map")
	if err != nil {
		return 0, err
	}
	used := make(map[uint32]bool)
	all, err := store.List()
	if err != nil {
		return 0, err
	}
	for _, c := range all {
		used[c.UID] = true
	}
	for range 100 {
		var b [4]byte
		if _, err := rand.Read(b[:]); err != nil {
			return 0, err
		}
		uid := first + binary.LittleEndian.Uint32(b[:])%count
		if uid != 0 && !used[uid] {
			return uid, nil
		}
	}
	return 0, errors.New("no free user id for the sentry")
}

// SpareIDs says why there is no user id for a sentry here; nil if there is one.
func SpareIDs() error {
	_, _, err := mappedRange("/proc/self/uid_map")
	return err
}

// mappedRange is the part of [firstUID, +uidCount) that exists in this user
// namespace or, when none of it does, the last user ids that exist.
func mappedRange(path string) (first, count uint32, err error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, 0, err
	}
	defer f.Close()
	for in := bufio.NewScanner(f); in.Scan(); {
		var inside, outside, n uint64
		if _, err := fmt.Sscan(in.Text(), &inside, &outside, &n); err != nil {
			return 0, 0, fmt.Errorf("%s: %w", path, err)
		}
		if inside <= firstUID && inside+n >= firstUID+uidCount {
			return firstUID, uidCount, nil
		}
		const spare = 4096 // of a small range, what people and services use comes first
		if n > spare {
			first, count = uint32(inside+n-spare), spare
		}
	}
	if count == 0 {
		return 0, 0, errors.New("this user namespace has no user ids to spare for the sentry")
	}
	return first, count, nil
}

// idMaps is a map of a user namespace in the words of os/exec.
func idMaps(mappings []specs.LinuxIDMapping) (out []syscall.SysProcIDMap) {
	for _, m := range mappings {
		out = append(out, syscall.SysProcIDMap{ContainerID: int(m.ContainerID), HostID: int(m.HostID), Size: int(m.Size)})
	}
	return out
}
