//go:build linux || darwin

// Package pam is what the service and keeperpam say to each other. keeperpam is
// the process that loads libpam, one for each question: modules of PAM run as
// root, hang, leave things behind, and are what an administrator has chosen. So
// none of them is ever loaded into the service.
//
// It holds the words and PAM's numbers alone. Package libpam, which binds the
// library, is linked into keeperpam and nothing else; package askpam speaks to it.
package pam

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
)

// Name is the program, and argv[0] of each process.
const Name = "keeperpam"

// Service is what PAM calls this agent: the name of its file.
const Service = "kpm"

// Account is the function that says whether an account may be used.
const Account = "pam_acct_mgmt"

// Environ is the environment of keeperpam: one thread is enough, and what a module
// says is in no language but this.
var Environ = []string{"GOMAXPROCS=1", "LC_ALL=C.UTF-8", "PATH=/usr/sbin:/usr/bin:/sbin:/bin"}

// Conn is keeperpam's descriptor of the connection.
const Conn = 3

// maxFrame bounds a message, in bytes. PAM's own messages are 512 bytes; the
// environment of a session is the longest.
const maxFrame = 64 << 10

// What a Question asks for.
const (
	// Authenticate: does somebody know what User logs in with, and may User log in?
	Authenticate = "authenticate"
	// Session: open a session for User, and close it when the connection ends.
	Session = "session"
)

// Question is the first message, from the service.
type Question struct {
	Kind string
	User string // by name
	// Asker is the name of who asked, empty if that is nobody else.
	Asker string `json:",omitempty"`
	// Environment is what modules find in PAM's own.
	Environment []string `json:",omitempty"`
}

// Kinds of Message.
const (
	Prompt = "prompt" // Text is to be asked; an Answer follows
	Secret = "secret" // the same, not to be shown
	Info   = "info"   // Text is to be told
	Fault  = "fault"  // Text is to be told, as an error
	Done   = "done"   // how it came out; after it a session is open
)

// Message is what keeperpam says.
type Message struct {
	Kind string
	Text string `json:",omitempty"` // of Done: why it did not succeed
	// Function is what did not succeed, empty if everything did.
	Function string `json:",omitempty"`
	// Code is what that function returned (Numbers), 0 for success.
	Code int32 `json:",omitempty"`
	// Environment and Limits are what a session's modules have set.
	Environment []string `json:",omitempty"`
	Limits      []Limit  `json:",omitempty"`
}

// Limit is one resource limit, by its number in the kernel.
type Limit struct {
	Resource         int
	Current, Maximum uint64
}

// Answer is what a person entered. Without it, Cancelled.
type Answer struct {
	Text      []byte
	Cancelled bool `json:",omitempty"`
}

// Send writes one message: its length, 4 bytes, big-endian, and its JSON. What
// was encoded is overwritten when it has been sent, for it may be a secret.
func Send(w io.Writer, message any) error {
	text, err := json.Marshal(message)
	if err != nil {
		return fmt.Errorf("pam: encode: %w", err)
	}
	defer clear(text)
	if len(text) > maxFrame {
		return fmt.Errorf("pam: a message of %d bytes, at most %d", len(text), maxFrame)
	}
	frame := append(binary.BigEndian.AppendUint32(make([]byte, 0, 4+len(text)), uint32(len(text))), text...)
	defer clear(frame)
	if _, err := w.Write(frame); err != nil {
		return fmt.Errorf("pam: send: %w", err)
	}
	return nil
}

// Receive reads one message. The error is io.EOF if there is none.
func Receive(r io.Reader, message any) error {
	var length [4]byte
	if _, err := io.ReadFull(r, length[:]); err != nil {
		if err == io.EOF {
			return err
		}
		return fmt.Errorf("pam: receive: %w", err)
	}
	n := binary.BigEndian.Uint32(length[:])
	if n > maxFrame {
		return fmt.Errorf("pam: a message of %d bytes, at most %d", n, maxFrame)
	}
	text := make([]byte, n)
	defer clear(text)
	if _, err := io.ReadFull(r, text); err != nil {
		return fmt.Errorf("pam: receive: %w", err)
	}
	if err := json.Unmarshal(text, message); err != nil {
		return fmt.Errorf("pam: decode: %w", err)
	}
	return nil
}
