package sandbox

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"garrison/runsc/container"
	"garrison/runsc/control"
)

// Processes lists the processes of a container.
func Processes(store container.Store, id string) ([]control.ProcessInfo, error) {
	c, err := running(store, id)
	if err != nil {
		return nil, err
	}
	return processes(c, &control.PS{})
}

func processes(c *container.Container, q *control.PS) ([]control.ProcessInfo, error) {
	a, err := request(c, &control.Request{ID: c.ID, PS: q}, requestTimeout)
	if err != nil {
		return nil, err
	}
	return a.Processes, nil
}

// HostProcesses are the host processes that a container's processes are: what an
// engine may look up on the host, where they have the guest's names. A container that
// has not been started is the one that stands for it.
func HostProcesses(store container.Store, id string) ([]int, error) {
	c, err := running(store, id)
	if err != nil {
		return nil, err
	}
	all, err := processes(c, &control.PS{Host: true})
	if err != nil {
		return nil, err
	}
	stubs, err := stubsOf(c.Sentry.PID)
	if err != nil {
		return nil, err
	}
	var pids []int
	for i := range all {
		// Processes that share an address space, as by vfork(2), are one on the host.
		if pid := stubs[all[i].Host]; pid != 0 && !slices.Contains(pids, pid) {
			pids = append(pids, pid)
		}
	}
	if len(pids) == 0 {
		pids = []int{c.Init.PID}
	}
	return pids, nil
}

// stubsOf are the children of a sentry, here, by their numbers in its pid namespace.
func stubsOf(sentry int) (map[int]int, error) {
	lists, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", sentry))
	if err != nil {
		return nil, err
	}
	stubs := map[int]int{}
	for _, list := range lists {
		b, err := os.ReadFile(list)
		if errors.Is(err, os.ErrNotExist) { // a thread that has ended
			continue
		}
		if err != nil {
			return nil, err
		}
		for _, field := range strings.Fields(string(b)) {
			if pid, err := strconv.Atoi(field); err == nil {
				stubs[innerPID(pid)] = pid
			}
		}
	}
	return stubs, nil
}

// innerPID is the number of the process pid in its own pid namespace, 0 if it has ended.
func innerPID(pid int) int {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	_, rest, _ := strings.Cut(string(b), "\nNSpid:")
	line, _, _ := strings.Cut(rest, "\n")
	numbers := strings.Fields(line)
	if len(numbers) == 0 {
		return 0
	}
	inner, _ := strconv.Atoi(numbers[len(numbers)-1])
	return inner
}
