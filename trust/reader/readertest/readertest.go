// Package readertest is a port.Confiner for tests that are not about
// confinement: its processes are goroutines of the test's own, joined by pipes.
package readertest

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"kpm/core"
	"kpm/core/port"
	"kpm/trust/reader"
	"kpm/trust/reader/judge"
)

// Confiner starts goroutines that do Work.
type Confiner struct {
	// Work is what a process does; nil: what keeperreader does.
	Work func(port.Confinement) error
	// Err, if not nil, is why none can be started.
	Err error
	// Started counts the processes.
	Started atomic.Int64

	running sync.WaitGroup
}

var _ port.Confiner = (*Confiner)(nil)

// Start implements port.Confiner.
func (c *Confiner) Start(context.Context) (port.Confined, error) {
	if c.Err != nil {
		return nil, c.Err
	}
	id := core.ProcessID{PID: int(c.Started.Add(1))}
	ours, theirs := net.Pipe()
	files := make(chan *os.File, 1)
	work := c.Work
	if work == nil {
		work = Read
	}
	c.running.Go(func() {
		defer theirs.Close()
		work(&inside{conn: theirs, files: files}) // how it ended shows at our end
	})
	return &outside{ours, id, files}, nil
}

// Wait waits until every process has ended.
func (c *Confiner) Wait() { c.running.Wait() }

// Read is what keeperreader does.
func Read(service port.Confinement) error {
	return reader.Serve(service, func(b *reader.Bundle, now func() time.Time) (reader.Judge, error) { return judge.New(b, now) })
}

type outside struct {
	net.Conn
	id    core.ProcessID
	files chan *os.File
}

// ID implements port.Confined.
func (o *outside) ID() core.ProcessID { return o.id }

// Send implements port.Confined.
func (o *outside) Send(p []byte, file *os.File) error {
	if file != nil {
		o.files <- file
	}
	_, err := o.Write(p)
	return err
}

// inside takes a file that waits for a part of the next bytes.
type inside struct {
	conn  net.Conn
	files chan *os.File
}

// Receive implements port.Confinement.
func (i *inside) Receive(p []byte) (int, port.HandedFile, error) {
	n, err := i.conn.Read(p)
	if errors.Is(err, io.ErrClosedPipe) {
		err = io.EOF
	}
	select {
	case f := <-i.files:
		return n, handed{f}, err
	default:
		return n, nil, err
	}
}

// Write implements port.Confinement.
func (i *inside) Write(p []byte) (int, error) { return i.conn.Write(p) }

// handed leaves closing to whose file it is.
type handed struct{ io.ReaderAt }

// Close implements io.Closer.
func (handed) Close() error { return nil }
