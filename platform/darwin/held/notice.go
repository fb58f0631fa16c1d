package held

import "encoding/binary"

// Step is where a child gave up.
type Step uint32

// The steps from a held child to the program, in order.
const (
	StepSpec Step = iota + 1
	StepDescriptors
	StepGroups
	StepUser
	StepDir
	StepChanged
	StepExec
)

var stepNames = [...]string{
	"unknown step", "read what to start", "set up descriptors", "set groups", "set user",
	"enter the working directory", "look at the program again", "execute",
}

// String says what was being done.
func (s Step) String() string {
	if int(s) < len(stepNames) {
		return stepNames[s]
	}
	return stepNames[0]
}

// Report is a child's last word when it could not become the program.
type Report struct {
	Step Step
	// Errno is 0 for a file that is no longer the approved one, and for a
	// specification that cannot be read.
	Errno uint32
}

// ReportSize is the length of an encoded Report.
const ReportSize = 8

// Encode returns r in ReportSize bytes.
func (r Report) Encode() []byte { return pair(uint32(r.Step), r.Errno) }

// DecodeReport reads a report of ReportSize bytes.
func DecodeReport(b []byte) (Report, bool) {
	if len(b) != ReportSize {
		return Report{}, false
	}
	first, second := unpair(b)
	return Report{Step(first), second}, Step(first) >= StepSpec && Step(first) <= StepExec
}

// Kind is what a Message is about.
type Kind uint32

// Orders to the helper, and its notices.
const (
	// OrderBegin has the helper start the child. With InForeground or InBackground
	// the terminal that travels along, and the connection to whoever has its other
	// side, are the session's first: a process that is there before a session has a
	// terminal does not have it (P_CONTROLT of xnu, signal->tty of Linux).
	OrderBegin Kind = iota + 1
	// OrderSignal sends the program's process group a signal, by number.
	OrderSignal
	// NoticeHelper is the first notice, with the helper's pid. NoticeChild answers
	// OrderBegin with the child's, or NoticeFailed with an error number.
	NoticeHelper
	NoticeChild
	NoticeFailed
	// NoticeEnded is the last, with how the program ended as wait4(2) has it.
	NoticeEnded
)

// Values of OrderBegin: where on its terminal a program begins.
const (
	NoTerminal uint32 = iota
	InForeground
	InBackground
)

// Message is an order or a notice.
type Message struct {
	Kind  Kind
	Value uint32
}

// MessageSize is the length of an encoded Message.
const MessageSize = 8

// Encode returns m in MessageSize bytes.
func (m Message) Encode() []byte { return pair(uint32(m.Kind), m.Value) }

// DecodeMessage reads MessageSize bytes.
func DecodeMessage(b []byte) (Message, bool) {
	if len(b) != MessageSize {
		return Message{}, false
	}
	first, second := unpair(b)
	return Message{Kind(first), second}, Kind(first) >= OrderBegin && Kind(first) <= NoticeEnded
}

func pair(first, second uint32) []byte {
	return binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(nil, first), second)
}

func unpair(b []byte) (first, second uint32) {
	return binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint32(b[4:])
}

// Status is what wait4(2) says of a child (sys/wait.h).
type Status uint32

// Stopped returns the signal that has stopped it, or false. A process that was
// started suspended is stopped by signal 0.
func (s Status) Stopped() (sig int, is bool) { return int(s >> 8 & 0xff), s&0x7f == 0x7f }

// Ended returns exit code and signal of one that has ended; one of them is 0.
func (s Status) Ended() (code, sig int) {
	if sig := int(s & 0x7f); sig != 0 {
		return 0, sig
	}
	return int(s >> 8 & 0xff), 0
}
