//go:build linux

package held

import (
	"encoding/binary"
	"syscall"
)

// Step is where a helper gave up.
type Step byte

// The steps from a prepared helper to the program, in order.
const (
	StepSpec Step = iota + 1
	StepDescriptors
	StepTerminal
	StepWatch
	StepGroups
	StepUser
	StepDir
	StepScript
	StepExec
)

var stepNames = [...]string{
	"unknown step", "read what to start", "set up descriptors", "take the controlling terminal",
	"start who watches it", "set groups", "set user", "enter the working directory", "look at the script again", "execute",
}

// String says what was being done.
func (s Step) String() string {
	if int(s) < len(stepNames) {
		return stepNames[s]
	}
	return stepNames[0]
}

// ReportSize is the length of an encoded Report.
const ReportSize = 5

// Report is a helper's last word when it could not become the program: the
// step and a big-endian errno. A helper that could says nothing: its end of the
// connection closes by exec.
type Report struct {
	Step Step
	// Errno is 0 for a script that is no longer the approved one, and for a
	// message that cannot be read.
	Errno syscall.Errno
}

// DecodeReport reads a report of ReportSize bytes.
func DecodeReport(b []byte) (Report, bool) {
	if len(b) != ReportSize {
		return Report{}, false
	}
	return Report{Step(b[0]), syscall.Errno(binary.BigEndian.Uint32(b[1:]))}, true
}
