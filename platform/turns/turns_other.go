//go:build !linux

package turns

// Short does nothing: only Linux is known to give short turns.
func Short() {}

// Watch is the thread by which Go's runtime watches its others. Nothing is done about it:
// it is about a timer of Linux.
type Watch struct{}

// Work says that there is work.
func (*Watch) Work() {}

// Rest says that there is none.
func (*Watch) Rest() {}
