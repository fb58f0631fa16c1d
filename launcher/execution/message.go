package execution

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"kpm/core"
)

// Deadline is how long an execution waits for a decision. One that has none by then
// goes on, and the journal says so (decision 35): a machine must never hang.
const Deadline = time.Second

// maxMessage bounds one message in bytes: a path and what belongs to it.
const maxMessage = 64 << 10

// order is what the Server tells the Holder: one JSON object on a line.
type order struct {
	// Seq, if not 0, has the Holder say when it is done.
	Seq uint64 `json:",omitempty"`
	// Mounts and Files are what to watch: executions by anybody, if Files is true.
	Watch *watch `json:",omitempty"`
	// Enter and Leave are launch groups.
	Enter string `json:",omitempty"`
	Leave string `json:",omitempty"`
	// Forget has every verdict forgotten: policies have changed.
	Forget bool `json:",omitempty"`
	// Answer is to a question.
	Answer *answer `json:",omitempty"`
}

type watch struct {
	Files  bool
	Mounts []string `json:",omitempty"`
}

// answer is what was decided.
type answer struct {
	ID    uint64
	Allow bool
	// Everybody says that nobody needs to be asked about this file again until
	// policies change.
	Everybody bool `json:",omitempty"`
	// Once says that the next execution is to be asked about again.
	Once bool `json:",omitempty"`
}

// report is what the Holder tells the Server.
type report struct {
	Done  uint64 `json:",omitempty"`
	Error string `json:",omitempty"` // why it could not be done
	// Question waits for an answer. Unanswered went on without one; Count is how many
	// did since the last report.
	Question   *question `json:",omitempty"`
	Unanswered *question `json:",omitempty"`
	Count      int       `json:",omitempty"`
}

// question is about one execution.
type question struct {
	ID   uint64
	PID  int
	User core.UserID
	// Group is the launch group of an elevated command; empty for everybody else.
	Group string `json:",omitempty"`
	// Script is true for the interpreter of a script that is executed.
	Script bool `json:",omitempty"`
	// Device and Inode are the numbers of the file.
	Device, Inode uint64
	Path          string
	Elsewhere     bool   `json:",omitempty"`
	Hash          string `json:",omitempty"`
}

// lines reads messages.
func lines(r io.Reader) *bufio.Scanner {
	s := bufio.NewScanner(r)
	s.Buffer(make([]byte, 0, 4<<10), maxMessage)
	return s
}

// line is m as it is sent.
func line(m any) ([]byte, error) {
	text, err := json.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("execution: %w", err)
	}
	if len(text)+1 > maxMessage {
		return nil, fmt.Errorf("execution: a message of %d bytes: %w", len(text), core.ErrTooLarge)
	}
	return append(text, '\n'), nil
}
