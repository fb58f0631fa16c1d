package reserve

// stackSize is how much of a stack Stack sees to, in bytes. Answering somebody takes
// between 8 and 16 KiB at its deepest.
const stackSize = 20 << 10

// Stack has the calling goroutine's stack large enough for deep calls. A goroutine
// begins with little and gets more when it needs it: all its frames are gone through
// then, several times on the way down, which is little work while there are few.
func Stack() { room(0) }

//go:noinline
func room(i int) byte {
	var all [stackSize]byte
	return all[i]
}
