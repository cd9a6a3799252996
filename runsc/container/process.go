package container

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// A Process is a host process, told from a later one of the same pid by the
// time it started. The zero value is no process.
type Process struct {
	PID   int    `json:"pid"`
	Start uint64 `json:"start"` // clock ticks since boot, proc_pid_stat(5) field 22
}

// FindProcess returns the process that has pid now.
func FindProcess(pid int) (Process, error) {
	_, start, err := stat(pid)
	return Process{pid, start}, err
}

// Alive says whether the process is there and not a zombie.
func (p Process) Alive() bool {
	if p.PID <= 0 {
		return false
	}
	state, start, err := stat(p.PID)
	return err == nil && start == p.Start && state != 'Z' && state != 'X'
}

// Signal sends sig, or reports unix.ESRCH when the process has gone.
func (p Process) Signal(sig unix.Signal) error {
	fd, err := p.open()
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.PidfdSendSignal(fd, sig, nil, 0)
}

// Wait returns true when the process has gone, or false after timeout. It
// need not be a child.
func (p Process) Wait(timeout time.Duration) bool {
	fd, err := p.open()
	if err != nil {
		return true
	}
	defer unix.Close(fd)
	end := time.Now().Add(timeout)
	for {
		left := time.Until(end)
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(max(left, 0).Milliseconds()))
		switch {
		case n > 0:
			return true
		case err != nil && err != unix.EINTR:
			return !p.Alive()
		case left <= 0:
			return false
		}
	}
}

// Kill ends the process and waits until it has gone.
func (p Process) Kill(timeout time.Duration) error {
	err := p.Signal(unix.SIGKILL)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("kill process %d: %w", p.PID, err)
	}
	if !p.Wait(timeout) {
		return fmt.Errorf("process %d does not end", p.PID)
	}
	return nil
}

// open returns a pidfd of the process. That it is the one that was meant is
// checked after opening: from then on the pid can't be another's.
func (p Process) open() (int, error) {
	if p.PID <= 0 {
		return -1, unix.ESRCH
	}
	fd, err := unix.PidfdOpen(p.PID, 0)
	if err != nil {
		return -1, err
	}
	if !p.Alive() {
		unix.Close(fd)
		return -1, unix.ESRCH
	}
	return fd, nil
}

// ExitStatus is how the process has ended, if nobody has waited for it yet: its exit
// status, or 128 and the number of the signal that killed it. unix.ESRCH when somebody
// has, EBUSY when it has not ended.
func (p Process) ExitStatus() (int, error) {
	fields, err := statFields(p.PID)
	if err != nil {
		return 0, unix.ESRCH
	}
	switch start, err := strconv.ParseUint(string(fields[startField]), 10, 64); {
	case err != nil || start != p.Start:
		return 0, unix.ESRCH
	case fields[0][0] != 'Z':
		return 0, unix.EBUSY
	}
	n, err := strconv.Atoi(string(fields[exitField]))
	if err != nil {
		return 0, fmt.Errorf("process %d: malformed stat: %w", p.PID, err)
	}
	w := unix.WaitStatus(n)
	if w.Signaled() {
		return 128 + int(w.Signal()), nil
	}
	return w.ExitStatus(), nil
}

// stat reads a process's state letter and start time.
func stat(pid int) (state byte, start uint64, err error) {
	fields, err := statFields(pid)
	if err != nil {
		return 0, 0, err
	}
	start, err = strconv.ParseUint(string(fields[startField]), 10, 64)
	return fields[0][0], start, err
}

// Fields of proc_pid_stat(5), of those after the name, from 0.
const (
	startField = 22 - 3
	exitField  = 52 - 3
)

// statFields are the fields of /proc/pid/stat after the command's name.
func statFields(pid int) ([][]byte, error) {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return nil, err
	}
	// The command's name may hold spaces and parentheses: the last ")" ends it.
	end := bytes.LastIndexByte(data, ')')
	fields := bytes.Fields(data[end+1:])
	if end < 0 || len(fields) <= exitField {
		return nil, fmt.Errorf("process %d: malformed stat", pid)
	}
	return fields, nil
}
