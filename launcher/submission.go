package launcher

import (
	"context"
	"os"
	"time"

	"kpm/core"
	"kpm/core/door"
	"kpm/core/port"
	"kpm/launcher/control"
	"kpm/launcher/refusal"
	"kpm/launcher/request"
	"kpm/launcher/seal"
)

// Submission is one person's request as it came over the local socket. Peer is from the
// kernel; everything else is the caller's word.
type Submission struct {
	seal.Request
	// Key is what the caller's process knows the request by; Running says that
	// it was told that its command runs, and wants no other.
	Key     door.Key
	Running bool
	Env     []string // what the caller offers; see environ.go
	// NonInteractive refuses instead of prompting.
	NonInteractive bool
	// For is how long what policy asks for is to be remembered; 0 if that was not
	// asked.
	For time.Duration
	// Anew has the person asked, whatever is remembered. Desktop has them asked on their
	// desktop though they have a terminal.
	Anew, Desktop bool
	Rows, Columns uint16
	Streams       port.Streams
	// Terminal gives the command a terminal even if no stream is one.
	Terminal bool
	// Background begins the command in the background of its terminal.
	Background bool
	// Apart numbers the terminals among the streams: 0 is the command's
	// controlling one.
	Apart [3]uint8
	// List asks only what the caller may run, as JSON if JSON is set; nothing else
	// but Peer counts then. With a command it asks what policy says about that.
	List, JSON bool
	// FileAccess asks for access to a file, which takes the program's place, for the
	// time of For, and runs nothing.
	FileAccess bool
	// ListFor, if not empty, is somebody else of whom an administrator asks that.
	ListFor string
	// NoWait does not wait for approvers. Reason is one that the caller offers before
	// they are asked; empty if they offer none.
	NoWait bool
	Reason string
	// Memory, if not nil, asks for what is remembered of the caller; nothing else
	// but Peer counts then.
	Memory *door.Memory
}

// Close lets go of everything that was handed over. It may be called more than
// once.
func (s *Submission) Close() {
	for _, f := range []*os.File{s.Dir, s.Executable, s.Streams.Input, s.Streams.Output, s.Streams.Error} {
		if f != nil {
			f.Close()
		}
	}
}

// ErrNotPermitted is wrapped when a principal may not do this to a request.
var ErrNotPermitted = request.ErrNotPermitted

// Caller is the person at the door during one Elevate.
type Caller interface {
	// Prompt asks and returns the answer, core.ErrCancelled, or
	// context.DeadlineExceeded after timeout.
	Prompt(ctx context.Context, p Prompt, timeout time.Duration) (string, error)
	// Tell shows a printable text. It returns within a bounded time.
	Tell(text string) error
	// HandOver hands over what belongs to the terminals of a command that is
	// about to run: it goes on whatever becomes of this service then. The files
	// stay the launcher's. It returns within a bounded time.
	HandOver(terminals ...*os.File) error
	// Started says that the command runs. It returns within a bounded time.
	Started() error
}

// Prompt is a question: its text, and whether the answer is a secret, which is not
// shown while it is typed.
type Prompt = control.Prompt

// Result is the one final answer: Exit, unless Refused or Listing is set, or
// nothing if Later is: the next service will give it, to whoever asks again.
type Result struct {
	Exit    core.ExitStatus
	Refused *refusal.Refusal
	Later   bool
	// Listing says what the caller may run, if that was asked. Done says that
	// there is nothing to say.
	Listing string
	Done    bool
	// Denied says that Listing is about a command that policy does not allow.
	Denied bool
	// Approval is what the request waits for, if that is why it was Refused.
	Approval string
	// Again: the caller is to send the same request once more.
	Again bool
}
