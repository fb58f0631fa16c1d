// Package refusal words why nothing ran, for the person who asked. It is the
// error of everything that the caller may be told; any other error is for the
// log, and Of says so.
package refusal

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"kpm/core"
	"kpm/core/door"
	"kpm/core/wire"
	"kpm/launcher/request"
)

// Refusal says why nothing ran, or that how it ended is not known. It is the
// error of everything that the caller may be told.
type Refusal struct{ Code, Message string }

// Error implements error.
func (r *Refusal) Error() string { return r.Code + ": " + r.Message }

// New makes a Refusal. Names in it come from users: what could move a cursor
// or forge a line is taken out (CVE-2023-28486).
func New(code, format string, args ...any) *Refusal {
	return &Refusal{Code: code, Message: wire.PrintableLine(fmt.Sprintf(format, args...))}
}

// Of words an error for the caller. Only faults of what the caller
// itself handed over are explained; the rest is for the log.
func Of(err error) *Refusal {
	var refusal *Refusal
	switch {
	case errors.As(err, &refusal):
		return refusal
	case core.OutOfResources(err):
		return New(door.CodeUnavailable, "%s", core.ResourceFault(err))
	case errors.Is(err, fs.ErrNotExist):
		return New(door.CodeNotFound, "no such program")
	case errors.Is(err, core.ErrNoAccount):
		return New(door.CodeNotFound, "no such user")
	case errors.Is(err, core.ErrNotRegular):
		return New(door.CodeBadRequest, "it is not a regular file")
	case errors.Is(err, fs.ErrPermission):
		return New(door.CodeBadRequest, "the service cannot read it: %v", err)
	case errors.Is(err, request.ErrTooMany):
		return New(door.CodeUnavailable, "too many requests are open: try again when one has ended")
	case errors.Is(err, context.DeadlineExceeded):
		return New(door.CodeFailed, "reading the program took too long")
	}
	return New(door.CodeFailed, "the service could not prepare it: its log has more")
}
