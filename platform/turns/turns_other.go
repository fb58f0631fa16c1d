//go:build !linux

package turns

// Short does nothing: only Linux is known to give short turns.
func Short() {}

// WatchLess does nothing: it is about a timer of Linux.
func WatchLess() {}
