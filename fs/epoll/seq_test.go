package epoll

import "garrison/sentry/usermem"

func seq(n int) usermem.Seq { return usermem.FromBytes(make([]byte, n)) }
