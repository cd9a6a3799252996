package syscalls

import (
	"garrison/sentry/kernel"
	"garrison/sentry/linux"
	"garrison/sentry/usermem"
)

func microseconds(ns int64) linux.Timeval {
	return linux.NsecToTimespec(ns + 999).Timeval() // rounded up: what is armed is not zero
}

func itimerval(left, interval int64) linux.Itimerval {
	return linux.Itimerval{Value: microseconds(left), Interval: microseconds(interval)}
}

// getitimer implements getitimer(2).
func getitimer(t *kernel.Task, which int32, out usermem.Ptr[linux.Itimerval]) (int, error) {
	if uint32(which) > linux.ITIMER_PROF {
		return 0, linux.EINVAL
	}
	v := itimerval(t.ThreadGroup().ITimer(int(which)))
	return 0, out.Store(t, &v)
}

// setitimer implements setitimer(2).
func setitimer(t *kernel.Task, which int32, in, out usermem.Ptr[linux.Itimerval]) (int, error) {
	var v linux.Itimerval
	if in != 0 {
		var err error
		if v, err = in.Load(t); err != nil {
			return 0, err
		}
	}
	for _, x := range []linux.Timeval{v.Value, v.Interval} {
		if x.Sec < 0 || x.Usec < 0 || x.Usec >= 1e6 {
			return 0, linux.EINVAL
		}
	}
	if uint32(which) > linux.ITIMER_PROF {
		return 0, linux.EINVAL
	}
	old := itimerval(t.ThreadGroup().SetITimer(int(which), v.Value.Timespec().Nano(), v.Interval.Timespec().Nano()))
	if out != 0 {
		return 0, out.Store(t, &old)
	}
	return 0, nil
}

// alarm implements alarm(2). What is left of the old alarm is rounded to seconds,
// but never to zero.
func alarm(t *kernel.Task, seconds uint32) (uint32, error) {
	left, _ := t.ThreadGroup().SetITimer(linux.ITIMER_REAL, int64(seconds)*1e9, 0)
	if left == 0 {
		return 0, nil
	}
	return uint32(max((left+5e8)/1e9, 1)), nil
}
