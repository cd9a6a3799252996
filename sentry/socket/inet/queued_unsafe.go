package inet

import (
	"reflect"
	"sync"
	"unsafe"

	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
)

// The stack doesn't tell how much of what was written to a connection is there yet, but counts
// it in a struct of an exported type, beside a lock whose methods are exported. A stack without
// these fields fails TestUnsent, and panics as the first program begins that has this package.
var (
	queueField  = fieldOf(reflect.TypeFor[tcp.Endpoint](), "sndQueueInfo")
	queueLock   = fieldOf(queueField.Type, "sndQueueMu")
	queueCounts = fieldOf(queueField.Type, reflect.TypeFor[tcp.TCPSndBufState]().Name())
)

var _ = queued(new(tcp.Endpoint))

// queued is how many bytes of e's the other end has not acknowledged, sent or not. The fields
// are in the struct that e points to, and each is taken with its own type.
func queued(e *tcp.Endpoint) int {
	q := unsafe.Add(unsafe.Pointer(e), queueField.Offset)
	l := reflect.NewAt(queueLock.Type, unsafe.Add(q, queueLock.Offset)).Interface().(sync.Locker)
	l.Lock()
	defer l.Unlock()
	return (*tcp.TCPSndBufState)(unsafe.Add(q, queueCounts.Offset)).SndBufUsed
}
