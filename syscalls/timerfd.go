package syscalls

import (
	"garrison/fs/timerfd"
	"garrison/sentry/auth"
	"garrison/sentry/kernel"
	"garrison/sentry/ktime"
	"garrison/sentry/linux"
	"garrison/sentry/usermem"
	"garrison/sentry/vfs"
)

// timerfdCreate implements timerfd_create(2).
func timerfdCreate(t *kernel.Task, id linux.ClockID, flags linux.OpenFlags) (kernel.FD, error) {
	if flags&^(linux.TFD_CLOEXEC|linux.TFD_NONBLOCK) != 0 {
		return 0, linux.EINVAL
	}
	switch id {
	case linux.CLOCK_REALTIME, linux.CLOCK_MONOTONIC, linux.CLOCK_BOOTTIME:
	case linux.CLOCK_REALTIME_ALARM, linux.CLOCK_BOOTTIME_ALARM:
		if !t.Creds().Capable(auth.CapWakeAlarm) {
			return 0, linux.EPERM
		}
	default:
		return 0, linux.EINVAL
	}
	return newAnon(t, timerfd.New(t.Kernel().Clocks.Clock(id), id), "[timerfd]", flags)
}

// timerfdOf is the timerfd of fd, held by its description: EBADF, EINVAL.
func timerfdOf(t *kernel.Task, fd kernel.FD) (*timerfd.File, *vfs.FileDescription, error) {
	d, err := t.File(fd)
	if err != nil {
		return nil, nil, err
	}
	f, ok := d.File().(*timerfd.File)
	if !ok {
		d.Release(t)
		return nil, nil, linux.EINVAL
	}
	return f, d, nil
}

// timerfdSettime implements timerfd_settime(2).
func timerfdSettime(t *kernel.Task, fd kernel.FD, flags uint32, in, old usermem.Ptr[linux.Itimerspec]) (int, error) {
	v, err := in.Load(t)
	if err != nil {
		return 0, err
	}
	if flags&^(linux.TFD_TIMER_ABSTIME|linux.TFD_TIMER_CANCEL_ON_SET) != 0 || !v.Value.Valid() || !v.Interval.Valid() {
		return 0, linux.EINVAL
	}
	f, d, err := timerfdOf(t, fd)
	if err != nil {
		return 0, err
	}
	defer d.Release(t)
	s := ktime.Setting{At: v.Value.Nano(), Interval: v.Interval.Nano()}
	if s.At != 0 && flags&linux.TFD_TIMER_ABSTIME != 0 {
		s.At = max(s.At-t.TimeOffset(f.Clock().ID()), 1)
	}
	if s.At != 0 && flags&linux.TFD_TIMER_ABSTIME == 0 {
		if s.At += f.Clock().Now(); s.At < 0 {
			s.At = 1<<63 - 1
		}
	}
	was := itimerspec(f.Set(s, flags), 0)
	if old != 0 {
		return 0, old.Store(t, &was)
	}
	return 0, nil
}

// timerfdGettime implements timerfd_gettime(2).
func timerfdGettime(t *kernel.Task, fd kernel.FD, out usermem.Ptr[linux.Itimerspec]) (int, error) {
	f, d, err := timerfdOf(t, fd)
	if err != nil {
		return 0, err
	}
	defer d.Release(t)
	v := itimerspec(f.Get(), 0)
	return 0, out.Store(t, &v)
}
