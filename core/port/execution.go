package port

import (
	"io"
	"time"

	"kpm/core"
)

// ExecutionControl has programs stopped right before they run, by a process of its
// own: whatever becomes of that, or of this service, the machine goes on.
type ExecutionControl interface {
	// Ready returns nil if programs can be stopped here. Otherwise the error names
	// what is missing and what to do; it wraps errors.ErrUnsupported where this
	// system, or this kernel, has no way to.
	Ready() error
	// Start starts the process (Executions is what it does its work with), and
	// returns the service's end of the connection with it. Read answers io.EOF when
	// it has ended. Close ends it, whatever it is doing. Errors are those of Ready,
	// or wrap core.ErrSwitchedOff.
	Start() (io.ReadWriteCloser, error)
}

// FileState identifies what a file holds: another state is another one.
type FileState struct {
	Device, Inode uint64
	// Changed is when the file was changed last, its mode and owner included, in
	// nanoseconds since 1970 on the kernel's clock; nobody can set it.
	Changed int64
	Size    int64 // bytes
}

// Execution is a process that is about to become another program, and waits for
// Executions.Answer.
type Execution struct {
	Process int // its number
	File    FileState
	Token   int // tells Executions which one it is
}

// Executor is whoever waits.
type Executor struct {
	// User is the real user, in the numbers of this machine.
	User core.UserID
	// Administrator is true if the real and the effective user are.
	Administrator bool
	// Group names the innermost launch group or container of processes that it is
	// in, as Held.Group does; empty if that is not known or was not asked for.
	Group string
}

// Program is what a file that is about to be executed is.
type Program struct {
	// Path is what it is called. Elsewhere is true if that name means something else
	// to this machine's administrator: it was removed or moved, or is in another
	// view of the file system.
	Path      string
	Elsewhere bool
	// Hash is the SHA-256 of the file in lower-case hex; empty if it is too large.
	Hash string
	// Interpreter is what the kernel executes next to run the file: its loader or,
	// if Script, the program behind "#!". The zero value is none.
	Interpreter FileState
	Script      bool
}

// Executions is what the process of an ExecutionControl has of its system. Next, and
// each other method, may be called at the same time.
type Executions interface {
	// Watch has executions stopped, or no longer. Of mounts, if there are any, only
	// the file systems at these are watched. It may be called again, and then takes
	// in what has been mounted since.
	Watch(on bool, mounts []string) error
	// Next waits for one.
	Next() (Execution, error)
	// Executor says who waits; with their launch group if that is asked for.
	Executor(e Execution, group bool) (Executor, error)
	// Answer lets it go on, or refuses it. It is called once for each.
	Answer(e Execution, allow bool) error
	// Ignore has executions of the same file not stopped at all, until it is
	// written to or Recall is called.
	Ignore(e Execution) error
	Recall() error
	// Keep returns an execution of which Program can be asked after e was answered.
	// The caller ends it with Drop.
	Keep(e Execution) (Execution, error)
	Drop(kept Execution)
	// Program reads the file, and looks for its interpreter if that is asked for. It
	// may take as long as a user's own file system has it wait.
	Program(kept Execution, interpreter bool) (Program, error)
	// Alive has the system end this process if it is not called again within a time,
	// whatever keeps it; 0 never does.
	Alive(within time.Duration) error
	// Close allows everything that waits, and has Next answer os.ErrClosed.
	Close() error
}
