// Package caller holds the ports of keepersudo, the program that people call:
// what it asks of an operating system to hand the service a request, and to
// stand in for the command at the caller's terminal.
//
// They are apart from package port because keepersudo links no net. Like those
// they decide nothing.
package caller

import (
	"io"
	"time"

	"kpm/core/signal"
)

// Host is what one operating system gives keepersudo. All fields are set.
type Host struct {
	// DefaultRoot is the agent root where nobody names another.
	DefaultRoot string
	// Administrator says that this process has rights that its environment,
	// which may be somebody else's, must not steer.
	Administrator bool
	// Stdout and Stderr write all that they are given, also where a
	// descriptor is shared with a program that made it non-blocking.
	Stdout, Stderr io.Writer
	// Random fills p with what nobody can guess. It is nil where the next service
	// cannot say what became of a request: then nobody asks it.
	Random func(p []byte) error
	// Replace has this process become the program at argv[0], with this process's
	// environment, and returns only an error. It is nil where a process cannot.
	Replace func(argv []string) error

	Handles Handles
	Service Service
	Console Console
	Prompt  Prompt
	Signals Signals
}

// Handles opens what a request hands to the service, as the caller: nobody may
// see through the service's eyes what they cannot see themselves.
type Handles interface {
	// Directory opens the working directory, for its name and not its content.
	Directory() (uintptr, error)
	// Program opens the program at path, a path of the caller's, in the same
	// way. The error wraps fs.ErrNotExist if there is none.
	Program(path string) (uintptr, error)
	// Standard is standard input, output and error.
	Standard() [3]uintptr
	Close(handle uintptr)
}

// Service is the connection to the service of an agent root. It is a stream of
// frames (package door) in both directions.
type Service interface {
	// Connect connects. Another call, on the same connection's end, connects
	// again, and Console keeps what came over the first. The texts of its errors are for the caller, and
	// say what to do. Where nobody is at the door the error is an Absent, if the
	// system can tell since when.
	//
	// Attack: another user makes an agent root, or listens in a real one, and
	// asks the caller for secrets. Root, the directories above it and whoever
	// listens are checked, and what was checked is what is used.
	Connect(root string) error
	// Read implements io.Reader. What comes with the frames is kept for
	// Console.
	Read(p []byte) (int, error)
	// Send sends one frame, and with its first byte handles. One call at a
	// time.
	Send(frame []byte, handles ...uintptr) error
}

// Absent is that nobody is at a service's door.
type Absent struct {
	Reason string
	// Seen is when the service was there last, or was about to be.
	Seen time.Time
}

// Error implements error.
func (a *Absent) Error() string { return a.Reason }

// Console carries bytes between the caller's terminals and the command's. Its
// methods may be called at any time, in any order.
//
// Attack, or bad luck: several keepersudo share one terminal and undo each
// other's settings. One at a time of those that a shell takes for one job has
// the keyboard, or asks a question.
type Console interface {
	// Screen is what the caller's terminals are.
	Screen() Screen
	// Receive takes the terminals that came with the last frame, in place of
	// any that were received before and are not carried for.
	Receive()
	// Carry begins to carry bytes to and from the terminals that were received,
	// if any were. From then on it does what a shell asks of a job: it stops with
	// the command, and goes on with it.
	Carry()
	// Over reports whether the command's side of a terminal that is carried for
	// has ended.
	Over() bool
	// Drain waits until all output of a command that has ended was written.
	Drain()
	// Restore gives the caller's terminal back for good, as it was.
	Restore()
}

// Screen is what a caller has to read from and write to.
type Screen struct {
	// Rows and Columns are the window's size in characters, or 0.
	Rows, Columns uint16
	// Terminal: there is a controlling terminal, whatever the standard streams
	// are.
	Terminal bool
	// Background: the command is not to have the keyboard at first.
	Background bool
	// Apart are the terminals that the standard streams are: 0 the controlling
	// one, or none, and from 1 on others.
	Apart [3]uint8
}

// Prompt asks the person at the caller's terminal, wherever standard input and
// output go.
type Prompt interface {
	// Ask shows a question and reads one line, for
	// at most timeout. It returns when the service says something, and looks
	// whether it is cancelled whenever Wake was called.
	//
	// Attack: what was typed before the question was shown is taken for its
	// answer, or what is typed when it is over is shown or run
	// (CVE-2025-64170). Input is discarded both times. A shell that stops the
	// caller and lets it go on is no answer: the question is shown again.
	Ask(q Question, timeout time.Duration, cancelled func() bool) (answer string, outcome Outcome)
	Wake()
}

// Question is what a person is asked.
type Question struct {
	// Text is printable and complete.
	Text string
	// Secret keeps what is typed from being shown.
	Secret bool
}

// Outcome is what became of a question.
type Outcome int

const (
	// Cancelled: there is nobody to ask, they cancelled, or it took too long.
	Cancelled Outcome = iota
	// Answered: there is an answer, which may be empty.
	Answered
	// Overtaken: the service has gone on and waits for no answer.
	Overtaken
)

// Signals takes the signals that the caller is sent.
type Signals interface {
	// Watch calls deliver for each signal that is meant for the command, one
	// call at a time, for as long as the process lives. What this process was
	// told to ignore is ignored, and what is about the terminal is Console's.
	// It is called once.
	Watch(deliver func(signal.Sent))
	// Number is that of the signal on this system.
	Number(signal.Signal) uint32
	// EndBy ends this process as the signal would have without Watch, or with
	// status 128 plus its number. It does not return.
	EndBy(signal.Signal)
}
