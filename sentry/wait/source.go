package wait

import (
	"time"

	"garrison/platform/park"
)

// A Source is where events come from: a link of the host's, say. Somebody has to be woken
// to fetch what comes, who then wakes whom it is for; so who waits may fetch it himself,
// as on Linux a socket's owner may poll its device (SO_BUSY_POLL).
type Source interface {
	// Sleep is s.Sleep by a caller that fetches what comes meanwhile, if nobody else
	// does: it may do whatever that asks for, and wake others.
	Sleep(s *park.Spot, timeout time.Duration) (woke bool)
}

// A Fetcher is who waits for things, and can fetch them.
type Fetcher interface {
	// Fetches says that something for the caller has come from s, and that what it
	// waits for next may, too.
	Fetches(s Source)
}
