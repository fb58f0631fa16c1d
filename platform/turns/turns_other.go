//go:build !linux

package turns

// Short does nothing: only Linux is known to give short turns.
func Short() {}
