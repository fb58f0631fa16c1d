//go:build linux

// Package confined is the inside of a process without any privilege: it gives
// up everything that the process has, so that whoever takes it over by the
// files that it reads has nothing, and then carries its one connection.
//
// It decides nothing and parses nothing. Package linux starts such processes,
// holds them to what is promised here by what the kernel says of them, and is
// the only one at the other end.
package confined

import (
	"kpm/core/port"
	"kpm/platform/unix/handover"
)

// Name is argv[0] of the process, and how process lists show it.
const Name = "keeperreader"

// Conn is the descriptor of the connection to the service.
const Conn = handover.Descriptor

// Environ is the whole environment, for the Go runtime alone: one processor;
// garbage is collected well before MaxData is reached; no files of the cgroup
// are kept open.
var Environ = []string{"GOMAXPROCS=1", "GOMEMLIMIT=384MiB", "GOTRACEBACK=none", "GODEBUG=containermaxprocs=0"}

// Main confines this process and lets serve work on its connection until the
// service closes it. The service alone can start it usefully: it takes root,
// and the connection at descriptor Conn. It does not return.
func Main(serve func(port.Confinement) error) { handover.Main(confine, serve) }
