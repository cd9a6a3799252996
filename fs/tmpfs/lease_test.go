package tmpfs_test

import (
	"sync/atomic"
	"testing"
	"time"

	"garrison/sentry/linux"
	"garrison/sentry/vfs"
)

func TestLeaseParams(t *testing.T) {
	e := newEnv(t)
	var enabled atomic.Bool
	var seconds atomic.Int64
	e.s.SetLeaseParams(func() vfs.LeaseParams { return vfs.LeaseParams{Enable: enabled.Load(), BreakTime: seconds.Load()} })
	d := e.open("/f", linux.O_CREAT|linux.O_RDWR)
	e.want("none", d.SetLease(e.c, linux.F_WRLCK, nil, 0), linux.EINVAL)
	e.want("to give up", d.SetLease(e.c, linux.F_UNLCK, nil, 0), linux.EAGAIN)
	enabled.Store(true)
	e.want("one", d.SetLease(e.c, linux.F_WRLCK, nil, 0), nil)
	enabled.Store(false)
	e.want("changes", d.SetLease(e.c, linux.F_WRLCK, nil, 0), nil)

	// Who has no time is waited for.
	opened := make(chan struct{})
	go func() {
		e.open("/f", linux.O_RDWR).Release(e.c)
		close(opened)
	}()
	for d.Lease() != linux.F_UNLCK {
		time.Sleep(time.Millisecond)
	}
	select {
	case <-opened:
		t.Fatal("opened")
	default:
	}
	e.want("gives up", d.SetLease(e.c, linux.F_UNLCK, nil, 0), nil)
	<-opened

	// And whose time is over loses it.
	enabled.Store(true)
	seconds.Store(1)
	e.want("again", d.SetLease(e.c, linux.F_WRLCK, nil, 0), nil)
	e.open("/f", linux.O_RDWR).Release(e.c)
	e.want("lost", d.SetLease(e.c, linux.F_UNLCK, nil, 0), linux.EAGAIN)
	d.Release(e.c)
}
