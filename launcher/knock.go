package launcher

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"kpm/core"
	"kpm/core/door"
	"kpm/core/port"
	"kpm/core/wire"
	"kpm/launcher/request"
)

// Knock is one person's wish, as it came through the door. Peer is from the
// kernel; everything else is the caller's word.
type Knock struct {
	Peer core.Peer
	// Command is what the caller named: a path, or a bare name.
	Command string
	// TargetUser is a name or "#uid"; empty means root.
	TargetUser string
	Argv       []string
	Env        []string // what the caller offers; see environ.go
	// NonInteractive refuses instead of prompting.
	NonInteractive bool
	Rows, Columns  uint16
	Dir            *os.File
	Streams        port.Streams
	// Executable is an O_PATH descriptor, nil for a bare name.
	Executable *os.File
}

func (k *Knock) close() {
	for _, f := range []*os.File{k.Dir, k.Executable, k.Streams.Input, k.Streams.Output, k.Streams.Error} {
		if f != nil {
			f.Close()
		}
	}
}

// ErrNotPermitted is wrapped when a principal may not do this to a request.
var ErrNotPermitted = request.ErrNotPermitted

// Caller is the person at the door during one Elevate.
type Caller interface {
	// Prompt shows text and returns the answer, core.ErrCancelled, or
	// context.DeadlineExceeded after timeout.
	Prompt(ctx context.Context, text string, timeout time.Duration) (string, error)
	// Started says that the command runs, and hands over what belongs to its
	// terminal, if it has one. The caller's files stay the launcher's. It
	// returns within a bounded time.
	Started(terminal ...*os.File) error
}

// Refusal says why nothing ran, or that how it ended is not known. It is the
// error of everything that the caller may be told.
type Refusal struct{ Code, Message string }

// Error implements error.
func (r *Refusal) Error() string { return r.Code + ": " + r.Message }

// Result is the one final answer: Exit, unless Refused is set.
type Result struct {
	Exit    core.ExitStatus
	Refused *Refusal
}

// refuse makes a Refusal. Names in it come from users: what could move a cursor
// or forge a line is taken out (CVE-2023-28486).
func refuse(code, format string, args ...any) *Refusal {
	return &Refusal{Code: code, Message: wire.Printable(fmt.Sprintf(format, args...))}
}

// refusalOf words an error for the caller. Only faults of what the caller
// itself handed over are explained; the rest is for the log.
func refusalOf(err error) *Refusal {
	var refusal *Refusal
	switch {
	case errors.As(err, &refusal):
		return refusal
	case errors.Is(err, fs.ErrNotExist):
		return refuse(door.CodeNotFound, "no such program")
	case errors.Is(err, core.ErrNoAccount):
		return refuse(door.CodeNotFound, "no such user")
	case errors.Is(err, core.ErrNotRegular):
		return refuse(door.CodeBadRequest, "it is not a regular file")
	case errors.Is(err, fs.ErrPermission):
		return refuse(door.CodeBadRequest, "the service cannot read it: %v", err)
	case errors.Is(err, request.ErrTooMany):
		return refuse(door.CodeUnavailable, "too many requests are open: try again when one has ended")
	case errors.Is(err, context.DeadlineExceeded):
		return refuse(door.CodeFailed, "reading the program took too long")
	}
	return refuse(door.CodeFailed, "the service could not prepare it: its log has more")
}
