package port

import (
	"context"
	"errors"
	"os"

	"kpm/core"
	"kpm/core/signal"
)

// LaunchSpec is one program to start. Argv stays a slice from the caller's
// execve to ours; nothing joins or splits it.
type LaunchSpec struct {
	// As says in whose name, and in which session.
	As core.Identity
	// Executable is the sealed handle, executed itself. For a script, Script
	// is its resolved path, and the handle is compared with what that path
	// names immediately before exec.
	Executable *os.File
	Script     string
	Argv       []string
	Env        []string
	Dir        *os.File
	// Streams are what the program reads from and writes to; nothing else is
	// inherited.
	Streams Streams
	// Opened are arguments that become names of files which the program finds
	// open, at most core.MaxPathArguments.
	Opened []Opened
	// Terminal, if not nil, becomes the program's own. It is one that Terminals
	// of the same host has made.
	Terminal Terminal
	// Apart are the terminals of streams that are nil and do not have Terminal,
	// which is set then.
	Apart [3]Terminal
	// Background starts the program in the background of Terminal: it is
	// stopped when it reads from there, and whoever has the terminal is told.
	Background bool
	// Outlives has the program go on when the launcher ends, and how it ended
	// kept for Resume. Where the system cannot, it changes nothing.
	Outlives bool
}

// Opened is a file in place of what Argument of LaunchSpec.Argv says from byte
// Offset on. Whatever its path names by then, the program gets this file.
type Opened struct {
	Argument, Offset int
	File             *os.File
}

// Streams are a program's standard streams. One that is nil is a terminal of
// the LaunchSpec or, without one, the null device. Where the system shows what a
// program writes in a window of its own (Windows, UserDesktop and UserElevated),
// three that are nil are that window.
type Streams struct{ Input, Output, Error *os.File }

// Each returns the streams in the order of their descriptors.
func (s Streams) Each() [3]*os.File { return [3]*os.File{s.Input, s.Output, s.Error} }

// Launcher starts processes in two phases (decision 32).
type Launcher interface {
	// Prepare starts a child that is held before exec and ends by itself if
	// this service goes away. The child already is what Held.ID says. Errors
	// wrap core.ErrNoAccount, os.ErrClosed, ctx's error or
	// errors.ErrUnsupported; then nothing was started.
	Prepare(ctx context.Context, spec LaunchSpec) (Held, error)
	// Resume returns a program that an earlier launcher was about to release or
	// has released with Outlives, whether it still runs or not. Wait then says
	// how it ended; its errors wrap ErrNotReleased or ErrEndUnknown. The error is
	// errors.ErrUnsupported where nothing outlives its launcher.
	Resume(id core.ProcessID, group string) (Process, error)
	// Forget says that how a program with Outlives ended is on record: nobody
	// will ask Resume for it.
	Forget(id core.ProcessID)
}

// Errors of a resumed Process.
var (
	// ErrNotReleased: its launcher ended before it let the program run.
	ErrNotReleased = errors.New("the service ended before it was let go: nothing has run")
	// ErrEndUnknown: whoever watched it was ended, or could not say how it ended.
	ErrEndUnknown = errors.New("how it ended is not known")
)

// Held is a child that waits. Exactly one of Release and Discard is called.
type Held interface {
	ID() core.ProcessID
	// Group names the launch group so that a restarted service finds it.
	Group() string
	// Release lets the child exec. It returns when exec has succeeded, or
	// with the reason why it did not; then no process remains.
	Release(ctx context.Context) (Process, error)
	// Discard ends the child. Nothing has run, and nothing will; it may be
	// Alive a while longer if the kernel waits for one of its descriptors.
	Discard()
}

// Process is a running child.
type Process interface {
	ID() core.ProcessID
	// End blocks until it is known how the program has ended, or ctx is done. A
	// process that was beside it may be there for a moment longer.
	End(ctx context.Context) (core.ExitStatus, error)
	// Wait blocks until the child has ended and been reaped, or ctx is done.
	Wait(ctx context.Context) (core.ExitStatus, error)
	// Signal tells the child's process group. The error is os.ErrProcessDone
	// if it has ended, and errors.ErrUnsupported for what cannot be told here.
	Signal(s signal.Signal) error
	// Kill ends every process of the launch group.
	Kill() error
}
