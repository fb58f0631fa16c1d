// Package dialog is what the service and a dialog on a person's desktop say to each
// other: one question on the dialog's standard input, one answer on its standard output,
// each a line of JSON. It shows nothing, and an answer proves nothing: programs of the
// same user can give it as well (decision 27).
package dialog

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"kpm/core/wire"
)

// Kind is what is asked.
type Kind string

// What is asked, by which program.
const (
	// KindCode is for a code of a second factor, or another secret (KeeperMFA).
	KindCode Kind = "code"
	// KindReason is for a reason (KeeperJustification).
	KindReason Kind = "reason"
	// KindRequest is whether approvers are to be asked, by whoever made the request
	// (KeeperApproval).
	KindRequest Kind = "request"
	// KindDecision is whether somebody else's request is approved, by an approver
	// (KeeperApproval).
	KindDecision Kind = "decision"
	// KindNotice asks nothing: Text is shown until it is closed, or for a while
	// (KeeperClient).
	KindNotice Kind = "notice"
)

// Question is what a dialog shows. Every text is printable, and one line.
type Question struct {
	Kind Kind `json:"kind"`
	// Code is the request's short code, which the asking terminal shows as well; for
	// KindDecision it is the approval's id.
	Code string `json:"code"`
	// Program is the sealed path, Target whom it would run as, CommandLine its
	// arguments as a shell reads them, and Directory where it would run.
	Program     string `json:"program"`
	Target      string `json:"target"`
	CommandLine string `json:"commandLine"`
	Directory   string `json:"directory,omitempty"`
	// Requester is who asks, if that is somebody else; Behind what asks in their name,
	// if that is not a person at a terminal; Reason theirs.
	Requester string `json:"requester,omitempty"`
	Behind    string `json:"behind,omitempty"`
	Reason    string `json:"reason,omitempty"`
	// Text is what is asked. Secret keeps what is entered from being shown.
	Text   string `json:"text"`
	Secret bool   `json:"secret,omitempty"`
}

// Outcome is what became of a question.
type Outcome string

// What became of a question. One that is none of these is Declined.
const (
	// Given: Answer.Text is what was entered, or KindRequest is a yes.
	Given Outcome = "given"
	// Declined: it was closed, or no was said where that is all there is to say.
	Declined Outcome = "declined"
	// Approved and Denied answer KindDecision.
	Approved Outcome = "approved"
	Denied   Outcome = "denied"
	// Unavailable: this desktop can show no dialog. Answer.Text says why.
	Unavailable Outcome = "unavailable"
)

// Answer is what became of a question.
type Answer struct {
	Outcome Outcome `json:"outcome"`
	Text    string  `json:"text,omitempty"`
}

// Bounds of a line, in bytes.
const (
	maxQuestion = 64 << 10
	maxAnswer   = 16 << 10
)

// ErrLine is wrapped by what is wrong with a line.
var ErrLine = errors.New("not a line of JSON that a dialog understands")

// Write writes q as a line.
func (q Question) Write(w io.Writer) error { return writeLine(w, q) }

// Write writes a as a line.
func (a Answer) Write(w io.Writer) error { return writeLine(w, a) }

func writeLine(w io.Writer, v any) error {
	var line bytes.Buffer
	e := json.NewEncoder(&line)
	e.SetEscapeHTML(false) // it is none, and a pipe holds little
	err := e.Encode(v)
	if err == nil {
		_, err = w.Write(line.Bytes())
	}
	if err != nil {
		return fmt.Errorf("dialog: %w", err)
	}
	return nil
}

// ReadQuestion reads one line. Whatever it says is made printable once more: it is
// shown.
func ReadQuestion(r io.Reader) (Question, error) {
	var q Question
	if err := readLine(r, maxQuestion, &q); err != nil {
		return Question{}, err
	}
	for _, text := range []*string{&q.Code, &q.Program, &q.Target, &q.CommandLine, &q.Directory, &q.Requester, &q.Behind, &q.Reason, &q.Text} {
		*text = wire.Printable(*text)
	}
	switch q.Kind {
	case KindCode, KindReason, KindRequest, KindDecision, KindNotice:
		return q, nil
	}
	return Question{}, fmt.Errorf("dialog: kind %q: %w", q.Kind, ErrLine)
}

// ReadAnswer reads what a dialog has said before it ended. What says nothing, or cannot
// be understood, has declined: a dialog that was killed is one.
func ReadAnswer(r io.Reader) Answer {
	var a Answer
	if err := readLine(r, maxAnswer, &a); err != nil || !utf8.ValidString(a.Text) {
		return Answer{Outcome: Declined}
	}
	switch a.Outcome {
	case Given, Approved, Denied, Unavailable:
		return a
	}
	return Answer{Outcome: Declined}
}

func readLine(r io.Reader, most int64, into any) error {
	line, err := bufio.NewReader(io.LimitReader(r, most)).ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, into)
	}
	if err != nil {
		return fmt.Errorf("dialog: %w: %w", ErrLine, err)
	}
	return nil
}
