package core

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"path"
	"strconv"
)

// RequestID names one elevation request: 26 characters of crypto/rand.Text
// (130 random bits), safe as a topic level and a file name.
type RequestID string

// NewRequestID returns a fresh, unguessable id.
func NewRequestID() RequestID { return RequestID(rand.Text()) }

// codeLength is enough to tell requests of one day apart, and little of an id.
const codeLength = 6

// Code is the beginning of the id, by which people tell requests apart: prompts
// and refusals show it.
func (id RequestID) Code() string { return string(id[:min(codeLength, len(id))]) }

// Executable is a program as it was sealed: what was decided is what is
// launched (decision 26).
type Executable struct {
	// Requested is what the caller named: an absolute path, or a bare name.
	Requested string `json:"requested"`
	// Path is where it was found, with every link resolved.
	Path string `json:"path"`
	// SHA256 is the lower-case hex digest of the bytes that will run: of the
	// file itself if Protected, of our copy if not.
	SHA256 string `json:"sha256"`
	// Protected is true when the file and all its ancestors can be changed by
	// administrators only; otherwise a private copy is what runs.
	Protected bool `json:"protected"`
	// Interpreter is the path behind "#!", empty for a binary.
	Interpreter string `json:"interpreter,omitempty"`
	// Signers have signed these bytes. SignersKnown is false if nobody has
	// looked.
	Signers      []Signer `json:"signers,omitempty"`
	SignersKnown bool     `json:"signersKnown,omitempty"`
}

// Subject is everything that a decision is about. Its Digest binds the
// decision to the launch.
type Subject struct {
	Caller Account
	Target Account
	// Membership is in which groups the caller is.
	Membership Membership
	Executable Executable
	// Argv are bytes: they need not be UTF-8 (decision 24a).
	Argv []string
	Dir  string
	// Administrator is true when the caller already is one.
	Administrator bool
}

// Called is the program as people are shown it: its path and, where that says
// something else, what it is called.
func (s Subject) Called() string {
	if len(s.Argv) == 0 || s.Argv[0] == s.Executable.Path || path.Base(s.Argv[0]) == path.Base(s.Executable.Path) {
		return s.Executable.Path
	}
	return s.Argv[0] + " (" + s.Executable.Path + ")"
}

// Digest returns the seal: a SHA-256 over every field that decides what runs,
// each length-prefixed so that no two subjects share an encoding.
func (s Subject) Digest() string {
	h := sha256.New()
	for _, field := range []string{
		string(s.Caller.User), string(s.Target.User), s.Executable.Requested, s.Executable.Path,
		s.Executable.SHA256, s.Executable.Interpreter, s.Dir, strconv.Itoa(len(s.Argv)),
	} {
		writeField(h, field)
	}
	for _, arg := range s.Argv {
		writeField(h, arg)
	}
	return hex.EncodeToString(h.Sum(nil))
}

func writeField(h hash.Hash, field string) {
	h.Write(strconv.AppendInt(nil, int64(len(field)), 10))
	h.Write([]byte{':'})
	h.Write([]byte(field))
}
