package syscalls

import (
	"garrison/sentry/kernel"
	"garrison/sentry/ktime"
	"garrison/sentry/linux"
	"garrison/sentry/usermem"
)

// timerCreate implements timer_create(2).
func timerCreate(t *kernel.Task, clock linux.ClockID, event usermem.Ptr[linux.Sigevent], out usermem.Ptr[int32]) (int, error) {
	c := t.Kernel().Clocks.Clock(clock)
	var cpu *kernel.CPUClock
	if c == nil {
		if cpu = cpuClock(t, clock); cpu == nil {
			if _, ok := t.Kernel().Clocks.Read(clock); ok {
				return 0, linux.EOPNOTSUPP
			}
			return 0, linux.EINVAL
		}
	}
	id, err := timerID(t, out)
	if err != nil {
		return 0, err
	}
	var ev *linux.Sigevent
	var target *kernel.Task
	if event != 0 {
		e, err := event.Load(t)
		if err != nil {
			return 0, err
		}
		if target, err = eventTarget(t, &e); err != nil {
			return 0, err
		}
		ev = &e
	}
	x, err := t.ThreadGroup().NewTimer(c, cpu, ev, target, id)
	if err != nil {
		return 0, err
	}
	if err := out.Store(t, &x.ID); err != nil {
		x.Delete()
		return 0, err
	}
	return 0, nil
}

// timerID is the id that the program has chosen for a timer, -1 if it has none to choose.
func timerID(t *kernel.Task, at usermem.Ptr[int32]) (int32, error) {
	if !t.ThreadGroup().TimerIDsChosen() {
		return -1, nil
	}
	id, err := at.Load(t)
	if err == nil && id < 0 {
		err = linux.EINVAL
	}
	return id, err
}

// prTimerIDs is PR_TIMER_CREATE_RESTORE_IDS.
func prTimerIDs(t *kernel.Task, a prctlArgs) (uint64, error) {
	if !rest(a, 1) {
		return 0, linux.EINVAL
	}
	switch a[0] {
	case linux.PR_TIMER_CREATE_RESTORE_IDS_OFF, linux.PR_TIMER_CREATE_RESTORE_IDS_ON:
		t.ThreadGroup().ChooseTimerIDs(a[0] == linux.PR_TIMER_CREATE_RESTORE_IDS_ON)
		return 0, nil
	case linux.PR_TIMER_CREATE_RESTORE_IDS_GET:
		return flag(t.ThreadGroup().TimerIDsChosen()), nil
	}
	return 0, linux.EINVAL
}

// eventTarget checks a sigevent and finds the thread it is for, nil for the process.
func eventTarget(t *kernel.Task, e *linux.Sigevent) (target *kernel.Task, err error) {
	switch e.Notify {
	case linux.SIGEV_SIGNAL | linux.SIGEV_THREAD_ID:
		x, err := taskOf(t, e.TID)
		if err != nil || x.ThreadGroup() != t.ThreadGroup() || e.TID == 0 {
			return nil, linux.EINVAL
		}
		target = x
	case linux.SIGEV_NONE:
		return nil, nil
	case linux.SIGEV_SIGNAL, linux.SIGEV_THREAD:
	default:
		return nil, linux.EINVAL
	}
	if !linux.Signal(e.Signo).Valid() {
		return nil, linux.EINVAL
	}
	return target, nil
}

func findTimer(t *kernel.Task, id int32) (*kernel.PosixTimer, error) {
	if x := t.ThreadGroup().Timer(id); x != nil {
		return x, nil
	}
	return nil, linux.EINVAL
}

// itimerspec is a setting as the guest sees it, relative to now.
func itimerspec(s ktime.Setting, now int64) linux.Itimerspec {
	v := linux.Itimerspec{Interval: linux.NsecToTimespec(s.Interval)}
	if s.At != 0 {
		v.Value = linux.NsecToTimespec(max(s.At-now, 1))
	}
	return v
}

// timerSettime implements timer_settime(2).
func timerSettime(t *kernel.Task, id, flags int32, in, out usermem.Ptr[linux.Itimerspec]) (int, error) {
	if in == 0 {
		return 0, linux.EINVAL
	}
	v, err := in.Load(t)
	if err != nil {
		return 0, err
	}
	if !v.Value.Valid() || !v.Interval.Valid() {
		return 0, linux.EINVAL
	}
	x, err := findTimer(t, id)
	if err != nil {
		return 0, err
	}
	var s ktime.Setting
	now := x.Now()
	if n := v.Value.Nano(); n != 0 {
		if s = (ktime.Setting{At: n, Interval: v.Interval.Nano()}); flags&linux.TIMER_ABSTIME != 0 {
			s.At = max(s.At-t.TimeOffset(x.Clock()), 1)
		} else {
			if s.At += now; s.At < 0 {
				s.At = 1<<63 - 1
			}
		}
	}
	old := itimerspec(x.Set(s), now)
	if out != 0 {
		return 0, out.Store(t, &old)
	}
	return 0, nil
}

// timerGettime implements timer_gettime(2).
func timerGettime(t *kernel.Task, id int32, out usermem.Ptr[linux.Itimerspec]) (int, error) {
	x, err := findTimer(t, id)
	if err != nil {
		return 0, err
	}
	v := itimerspec(x.Get(), x.Now())
	return 0, out.Store(t, &v)
}

// timerGetoverrun implements timer_getoverrun(2).
func timerGetoverrun(t *kernel.Task, id int32) (int32, error) {
	x, err := findTimer(t, id)
	if err != nil {
		return 0, err
	}
	return x.Overrun(), nil
}

// timerDelete implements timer_delete(2).
func timerDelete(t *kernel.Task, id int32) (int, error) {
	x, err := findTimer(t, id)
	if err != nil {
		return 0, err
	}
	x.Delete()
	return 0, nil
}
