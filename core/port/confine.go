package port

import (
	"context"
	"io"
	"os"
	"time"

	"kpm/core"
)

// Confiner starts the program that reads what users chose, in a process that
// can do nothing but compute and answer. What a system offers for that is its
// own; the least is: an identity that nothing is granted to and no other process
// passes for, no capability and no way to get one, no file but those that it is
// handed, no network, no other process, and bounds on memory and processor time.
type Confiner interface {
	// Start returns a process that is confined already, before it has been
	// handed anything. A system that cannot confine answers
	// errors.ErrUnsupported; any other error means that this one process could
	// not be started or is not confined, and never wraps errors.ErrUnsupported.
	Start(ctx context.Context) (Confined, error)
}

// Confined is a confined process, at the service's end: a stream of bytes that
// also hands over files. It may have been taken over by what it has read, and
// nothing that it says is more than a claim. One call at a time, Close apart.
type Confined interface {
	// ID names the process.
	ID() core.ProcessID
	// Send writes all of p and hands over file, open for reading, with its
	// first byte; nil hands over none.
	Send(p []byte, file *os.File) error
	// Read is io.Reader's. io.EOF means that the process has ended.
	io.Reader
	// SetDeadline is net.Conn's, for Send and Read, and interrupts both.
	SetDeadline(t time.Time) error
	// Close ends the process, whatever it is doing. It does not wait.
	Close() error
}

// Confinement is the confined process's end of the same stream.
type Confinement interface {
	// Receive is io.Reader's, and also returns the file that came with these
	// bytes, nil if none. The caller closes it.
	Receive(p []byte) (n int, file HandedFile, err error)
	io.Writer
}

// HandedFile is a file that a confined process was handed. Nothing but its
// bytes can be had from it.
type HandedFile interface {
	io.ReaderAt
	io.Closer
}
