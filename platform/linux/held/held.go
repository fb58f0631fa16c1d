//go:build linux

// Package held is the helper's side of a two-phase launch: a process that was
// started ahead of need, is told what to become, waits, and then becomes it or
// ends without having run anything (decision 32).
//
// It decides nothing. Who may start what was settled before the helper hears
// of it; package linux, which starts helpers, is the only one that talks to
// them. It is kept free of os, fmt and net: idle helpers cost memory.
//
// The service starts one keeperlaunch, the seed, and that makes the helpers by
// fork. A helper made so has one thread and few pages, and both are time
// between release and exec: the kernel must end the one and give up the other.
// What makes them is a thread that the Go runtime knows nothing of (seed.go):
// the runtime sleeps, and takes no memory, however many helpers there will be.
package held

import (
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// Name is argv[0] of the seed, and how process lists show seed and helpers.
const Name = "keeperlaunch"

// Environ is the environment of the seed, which no program ever sees. A crash
// dies by signal 6, so that it cannot be mistaken for a program that ran and
// returned 2.
var Environ = []string{"GOMAXPROCS=1", "GOGC=off", "GOTRACEBACK=crash"}

// ReplySize is the length of the seed's answer: pid and errno, 32 bits each in
// the machine's order.
const ReplySize = 8

// Main is the seed. conn is its connection to the service. Each byte that
// arrives there asks for a helper and brings the helper's own connection and,
// perhaps, the directory of the cgroup that it is to be born in. End of file
// ends the seed. ends is the socket, the next descriptor, by which helpers tell the
// service how programs have ended. Main does not return.
func Main(conn, ends int) {
	// Capabilities and the signal mask belong to a thread. The one that makes
	// helpers has those of this one, and helpers have its.
	runtime.LockOSThread()
	settle(conn, ends)
	h, err := set(conn, ends)
	if err != nil || h.start() > maxPid {
		syscall.Exit(exitUnused)
	}
	for {
		unix.Ppoll(nil, nil, nil)
	}
}
