// Package stack lets a goroutine have a large stack from its beginning.
package stack

// size is what the deepest work of one request takes; the runtime keeps stacks of twice
// this size for reuse, and larger ones not.
const size = 12 << 10

// Grow makes the stack as large as a request needs it. A stack that is too small is
// copied to one of twice the size, frame by frame, as often as it turns out to be: at
// the beginning there is nothing to copy, and once is enough.
//
//go:noinline
func Grow() byte {
	var room [size]byte
	return room[zero()]
}

//go:noinline
func zero() int { return 0 }
