package inet

import (
	"reflect"
	"unsafe"

	"gvisor.dev/gvisor/pkg/buffer"
)

// The stack's views don't tell whether they share their memory, but that counts who has it, by
// an exported method. A library without this field, or without that method, fails TestStore,
// and panics as the first program begins that has this package.
var memoryField = fieldOf(reflect.TypeFor[buffer.View](), "chunk")

var _ = referencesTo(buffer.NewView(0))

// referencesTo is what counts who has v's memory. The field's address is taken of a value that
// the caller keeps alive, and with its own type; v must not be written to, which could give it
// other memory.
func referencesTo(v *buffer.View) references {
	f := reflect.ValueOf(v).Elem().FieldByIndex(memoryField.Index)
	return reflect.NewAt(f.Type(), unsafe.Pointer(f.UnsafeAddr())).Elem().Interface().(references)
}
