package kernel

import (
	"errors"

	"garrison/sentry/linux"
)

// wrappedErrno finds the errno inside a wrapped host error.
func wrappedErrno(err error) linux.Errno {
	var e linux.Errno
	if errors.As(err, &e) {
		return e
	}
	return linux.EIO
}
