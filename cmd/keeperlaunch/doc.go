//go:build linux || windows || darwin

// Command keeperlaunch is started by the service ahead of need and becomes the
// programs that the service launches or, where there is no exec, creates them
// and waits. It has no use of its own: without the service at the other end of
// what it was started with, it ends at once.
//
// The directives keep the runtime from reading the control group's share of the
// processors: it has one, and the service waits for it to start.
//
//go:debug containermaxprocs=0
//go:debug updatemaxprocs=0
package main
