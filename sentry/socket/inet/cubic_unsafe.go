package inet

import (
	"reflect"
	"unsafe"

	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
)

// The stack has no way to be given a congestion control, but has each connection's in a field
// of an interface type whose methods are all exported. A stack without these fields fails
// TestCubic, and panics as the first program begins that has this package.
var (
	senderField  = fieldOf(reflect.TypeFor[tcp.Endpoint](), "snd")
	controlField = fieldOf(senderField.Type.Elem(), "cc")
	stateField   = fieldOf(senderField.Type.Elem(), "TCPSenderState")
)

// stackCubic is the type of the stack's CUBIC, of which nothing but the name is to be known.
const stackCubic = "*tcp.cubicState"

func fieldOf(t reflect.Type, name string) reflect.StructField {
	f, ok := t.FieldByName(name)
	if !ok {
		panic("inet: " + t.String() + " has no " + name)
	}
	return f
}

// steer puts what instead makes in place of e's congestion control, if that is the stack's
// CUBIC, and reports false if e has none yet. The caller holds e's lock, which protects the
// fields: their addresses are taken of a value that e keeps alive, and with their own types.
func steer(e *tcp.Endpoint, instead func(*tcp.TCPSenderState, controller) controller) bool {
	snd := reflect.ValueOf(e).Elem().FieldByIndex(senderField.Index)
	if snd.IsNil() {
		return false
	}
	snd = snd.Elem()
	f := snd.FieldByIndex(controlField.Index)
	control := reflect.NewAt(f.Type(), unsafe.Pointer(f.UnsafeAddr())).Elem()
	if control.Elem().Type().String() != stackCubic {
		return true
	}
	state := (*tcp.TCPSenderState)(unsafe.Pointer(snd.FieldByIndex(stateField.Index).UnsafeAddr()))
	control.Set(reflect.ValueOf(instead(state, control.Interface().(controller))))
	return true
}
