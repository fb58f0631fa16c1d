package port

import (
	"context"
	"kpm/core"
	"os"
)

// LaunchSpec is one program to start. Argv stays a slice from the caller's
// execve to ours; nothing joins or splits it.
type LaunchSpec struct {
	// Executable is the sealed handle, executed itself. For a script, Script
	// is its resolved path, and the handle is compared with what that path
	// names immediately before exec.
	Executable *os.File
	Script     string
	Argv       []string
	Env        []string
	Dir        *os.File
	// Stdio become descriptors 0, 1 and 2; nothing else is inherited.
	Stdio [3]*os.File
	// Terminal, if not nil, becomes the controlling terminal of the new
	// session. It is the slave side and one of Stdio.
	Terminal *os.File
	Account  core.Account
}

// Launcher starts processes in two phases (decision 32).
type Launcher interface {
	// Prepare starts a child that is held before exec and ends by itself if
	// this service goes away. The child already is what Held.ID says.
	Prepare(ctx context.Context, spec LaunchSpec) (Held, error)
}

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
	// Wait blocks until the child has ended and been reaped, or ctx is done.
	Wait(ctx context.Context) (core.ExitStatus, error)
	// Signal sends sig to the child's process group.
	Signal(sig int) error
	// Kill ends every process of the launch group.
	Kill() error
}
