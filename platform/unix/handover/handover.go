//go:build unix

// Package handover is the connection between the service and a confined process
// where files are descriptors: its beginning at both ends, and the confined
// process's end of it. It confines nothing and parses nothing.
package handover

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"kpm/core/port"
)

// Descriptor is the confined process's end of the connection, a stream socket.
const Descriptor = 3

// Ready is the first byte of a process that is confined. Any other is the first
// of a sentence of at most MaxFault bytes that says why it is not.
const (
	Ready    = 0
	MaxFault = 512
)

// confineTime is how long a process has to confine itself.
const confineTime = 10 * time.Second

// Main confines this process and lets serve work on its connection until the
// service closes it. A process that cannot be confined says why, and is handed
// nothing. It does not return.
func Main(confine func() error, serve func(port.Confinement) error) {
	// Timers make the runtime open descriptors of its own. It must not want more
	// later, when it may open none.
	time.Sleep(time.Nanosecond)
	c := conn{Descriptor}
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

// AwaitReady waits at the service's end until the process says that it is confined.
func AwaitReady(ctx context.Context, conn *os.File) error {
	deadline := time.Now().Add(confineTime)
	if limit, ok := ctx.Deadline(); ok && limit.Before(deadline) {
		deadline = limit
	}
	if err := conn.SetDeadline(deadline); err != nil {
		return err
	}
	var first [1]byte
	if _, err := io.ReadFull(conn, first[:]); err != nil {
		return fmt.Errorf("it does not say that it is confined: %w", err)
	}
	if first[0] != Ready {
		rest, _ := io.ReadAll(io.LimitReader(conn, MaxFault)) // it ends after that
		return fmt.Errorf("it could not %s%s", first[:], rest)
	}
	return conn.SetDeadline(time.Time{})
}
