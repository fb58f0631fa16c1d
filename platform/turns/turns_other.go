//go:build !linux

package turns

// Short does nothing: only Linux is known to give short turns.
func Short() {}

// Watch is the thread by which Go's runtime watches its others.
type Watch struct{}

// WatchLess does nothing: it is about a timer of Linux. Nor do Work and Rest.
func WatchLess() *Watch { return &Watch{} }

// Work says that there is work.
func (*Watch) Work() {}

// Rest says that there is none.
func (*Watch) Rest() {}
