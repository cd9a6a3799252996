package inet

import (
	_ "unsafe" // for go:linkname

	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
)

// The stack's goroutines call these of a socket that something has come for, by its state.
// Each takes the socket's lock if nobody has it, which is all that it asks for: who calls is
// of no matter. They are not exported; the stack is of one version, which go.mod names, and
// one without them would not link.

//go:linkname handleListen gvisor.dev/gvisor/pkg/tcpip/transport/tcp.handleListen
func handleListen(e *tcp.Endpoint)

//go:linkname handleConnecting gvisor.dev/gvisor/pkg/tcpip/transport/tcp.handleConnecting
func handleConnecting(e *tcp.Endpoint)

//go:linkname handleConnected gvisor.dev/gvisor/pkg/tcpip/transport/tcp.handleConnected
func handleConnected(e *tcp.Endpoint)
