//go:build !linux

package main

// answering is nil: the service does not know which terminal a process has here, and
// asks nobody at another one.
var answering func(secret bool) (done func(), err error)
