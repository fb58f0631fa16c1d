//go:build linux || windows || darwin

// Command keeperlaunch is started by the service ahead of need and becomes the
// programs that the service launches or, where there is no exec, creates them
// and waits. It has no use of its own: without the service at the other end of
// what it was started with, it ends at once.
package main
