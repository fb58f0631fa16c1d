package reserve

import (
	"testing"
	"unsafe"
)

// A stack that is made greater lies elsewhere.
func TestAStackIsLargeEnough(t *testing.T) {
	moved := func(begin func()) bool {
		answer := make(chan bool)
		go func() {
			begin()
			var here byte
			before := uintptr(unsafe.Pointer(&here))
			down(stackSize / 1024)
			answer <- uintptr(unsafe.Pointer(&here)) != before
		}()
		return <-answer
	}
	if !moved(func() {}) {
		t.Error("a new goroutine's stack was large enough; Stack is not needed any more")
	}
	if moved(Stack) {
		t.Error("it was made greater all the same")
	}
}

// down takes about n KiB of a stack.
//
//go:noinline
func down(n int) byte {
	var frame [900]byte
	if n > 0 {
		frame[n] = down(n - 1)
	}
	return frame[n]
}
