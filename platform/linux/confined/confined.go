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
	"os"
	"time"

	"kpm/core/port"
)

// Name is argv[0] of the process, and how process lists show it.
const Name = "keeperreader"

// Conn is the descriptor of the connection to the service.
const Conn = 3

// Environ is the whole environment, for the Go runtime alone: one processor;
// garbage is collected well before MaxData is reached; no files of the cgroup
// are kept open.
var Environ = []string{"GOMAXPROCS=1", "GOMEMLIMIT=384MiB", "GOTRACEBACK=none", "GODEBUG=containermaxprocs=0"}

// Ready is the first byte of a process that is confined. Any other is the first
// of a sentence of at most MaxFault bytes that says why it is not.
const (
	Ready    = 0
	MaxFault = 512
)

// Main confines this process and lets serve work on its connection until the
// service closes it. The service alone can start it usefully: it takes root,
// and the connection at descriptor Conn. It does not return.
func Main(serve func(port.Confinement) error) {
	// Timers make the runtime open two descriptors of its own. It must not
	// want more later, when it may open none.
	time.Sleep(time.Nanosecond)
	c := conn{Conn}
	if err := confine(); err != nil {
		fault := []byte(err.Error())
		c.Write(fault[:min(len(fault), MaxFault)]) // the service may be gone
		os.Exit(1)
	}
	if _, err := c.Write([]byte{Ready}); err != nil {
		os.Exit(1)
	}
	if serve(c) != nil {
		os.Exit(1)
	}
	os.Exit(0)
}
