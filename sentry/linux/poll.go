package linux

// Pollfd is struct pollfd, poll(2). The numbers of its events are sentry/wait's.
type Pollfd struct {
	FD      int32
	Events  int16
	Revents int16
}

// FD_SETSIZE is how many descriptors an fd_set of the C library holds; the kernel
// takes larger ones.
const FD_SETSIZE = 1024

// SigmaskArg is what the sixth argument of pselect6(2) points at.
type SigmaskArg struct{ Mask, Size uint64 }
