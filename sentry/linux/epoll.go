package linux

// An EpollEvent is struct epoll_event, epoll_ctl(2), which is packed.
type EpollEvent struct {
	Events uint32
	Data   [2]uint32 // a 64-bit value at offset 4, low word first
}

// Operations of epoll_ctl(2).
const (
	EPOLL_CTL_ADD = 1
	EPOLL_CTL_DEL = 2
	EPOLL_CTL_MOD = 3
)

// Flags of EpollEvent.Events beside poll's events.
const (
	EPOLLEXCLUSIVE = 1 << 28
	EPOLLWAKEUP    = 1 << 29
	EPOLLONESHOT   = 1 << 30
	EPOLLET        = 1 << 31

	EPOLL_CLOEXEC = 0x80000

	// EP_MAX_EVENTS is the most events epoll_wait(2) may be asked for.
	EP_MAX_EVENTS = (1<<31 - 1) / 12
	// EP_MAX_NESTS is how deep epoll instances may watch one another.
	EP_MAX_NESTS = 4
)
