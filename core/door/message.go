package door

import (
	"encoding/binary"

	"kpm/core/signal"
)

// Version of the frames. A service refuses another one by name.
const Version = 3

// Refusal codes, stable across releases; docs/wire.md lists what each means
// to the caller.
const (
	CodeDenied      = "denied"
	CodeExpired     = "expired"
	CodeFailed      = "failed"
	CodeBadRequest  = "bad-request"
	CodeNotFound    = "not-found"
	CodeUnavailable = "unavailable"
	// CodeApprovalPending: approvers have been asked, and nobody waits for them.
	CodeApprovalPending = "approval-pending"
)

// Request is the first frame of a caller. With it travel, in this order, the
// working directory, descriptors 0, 1 and 2, and, if HasExecutable, an O_PATH
// descriptor of the program.
type Request struct {
	// Key is the caller's word for this request, chosen at random. Whoever asks
	// again with it after the service was restarted is joined to the request, if
	// it is the same process. Who sends none, which is all zero, is not.
	Key Key
	// Running says that the caller has been told that its command runs: it is
	// joined to that, and nothing is started.
	Running bool
	// HasExecutable is false for a bare name, which the service resolves.
	HasExecutable bool
	// NonInteractive refuses instead of prompting (keepersudo -n).
	NonInteractive bool
	// Anew has the person asked, whatever is remembered (keepersudo -k).
	Anew bool
	// Desktop has the person asked on their desktop, if they have one, though they have
	// a terminal (keepersudo --desktop).
	Desktop bool
	// FileAccess asks for access to a file, which Command names and which takes the
	// program's place, for the time of For; nothing runs.
	FileAccess bool
	// List asks what policy says about the command, as JSON if JSON is set; nothing
	// runs (keepersudo -l COMMAND).
	List, JSON bool
	// Terminal says that the caller has a terminal, whatever 0 to 2 are: the
	// command gets one too.
	Terminal bool
	// Background begins the command in the background of its terminal: who
	// calls has nobody at the keyboard, or something else is read from.
	Background bool
	// Apart are the terminals that 0, 1 and 2 are, by numbers of the caller's
	// choice: 0 is the controlling one, and at most MaxApart another.
	Apart [3]uint8
	// Command is the program as the caller named it.
	Command string
	// TargetUser is a name or "#uid"; empty means root.
	TargetUser string
	Argv       []string
	// Env are NAME=value pairs the caller offers; the service keeps those on
	// its allow list.
	Env []string
	// Rows and Columns are the caller's window size; 0 if unknown.
	Rows, Columns uint16
	// NoWait does not wait for approvers.
	NoWait bool
	// Reason is one that the caller gives without being asked; empty if none is given.
	Reason string
	// For is for how many seconds what policy asks for is to be remembered; 0 if
	// that was not asked.
	For uint32
}

// Key is what a request is known by to the process that has made it. It is
// never logged or shown.
type Key [16]byte

// MaxApart is the highest number of a terminal in Request.Apart: each of three
// descriptors may be another one than the controlling terminal.
const MaxApart = 3

// Prompt asks the person a question. Text has been made printable.
type Prompt struct {
	Text string
	// TimeoutSeconds is how long the service waits for the answer.
	TimeoutSeconds uint32
	// Secret keeps what is typed from being shown.
	Secret bool
}

// Answer is the person's reply. Cancelled means Ctrl-C or end of file.
type Answer struct {
	Cancelled bool
	Text      string
}

// Exit is how the command ended; Signal is 0 unless it was killed by one.
type Exit struct{ Code, Signal uint32 }

// Refused says why nothing ran. Message is printable and complete.
type Refused struct {
	Code    string
	Message string
}

// List asks what the caller may run. Nothing travels with it.
type List struct {
	// JSON asks for the answer as JSON.
	JSON bool
	// User, if not empty, is somebody else, of whom an administrator asks.
	User string
}

// Listing is the answer to List: printable text, or JSON. Denied says that it is about
// a command that policy does not allow.
type Listing struct {
	Text   string
	Denied bool
}

// Notice tells the person something, on the way to the one final frame. Text has
// been made printable.
type Notice struct{ Text string }

// Encode returns the body of a Notice frame.
func (m Notice) Encode() []byte { return appendString(nil, m.Text) }

// DecodeNotice reads the body of a Notice frame.
func DecodeNotice(body []byte) (Notice, error) {
	d := decoder{rest: body}
	m := Notice{Text: d.string()}
	return m, d.end()
}

// Encode returns the body of a List frame.
func (m List) Encode() []byte {
	flags := flag(m.JSON)
	if m.User == "" {
		return []byte{Version, flags}
	}
	return appendString([]byte{Version, flags | listsUser}, m.User)
}

// listsUser is set in the flags of a List frame that names a user.
const listsUser = 2

// DecodeList reads the body of a List frame.
func DecodeList(body []byte) (List, error) {
	d := decoder{rest: body}
	version, flags := d.byte(), d.byte()
	if version != Version || flags > 1|listsUser {
		d.failed = true
	}
	m := List{JSON: flags&1 != 0}
	if flags&listsUser != 0 {
		m.User = d.string()
		d.failed = d.failed || m.User == ""
	}
	return m, d.end()
}

// Encode returns the body of a Listing frame.
func (m Listing) Encode() []byte { return append(appendString(nil, m.Text), flag(m.Denied)) }

// DecodeListing reads the body of a Listing frame.
func DecodeListing(body []byte) (Listing, error) {
	d := decoder{rest: body}
	m := Listing{Text: d.string()}
	denied := d.byte()
	m.Denied, d.failed = denied == 1, d.failed || denied > 1
	return m, d.end()
}

// Encode returns the body of a Request frame.
func (m Request) Encode() []byte {
	keyed := m.Key != Key{}
	b := []byte{Version, flag(m.HasExecutable) | flag(m.NonInteractive)<<1 | flag(m.Terminal)<<2 | flag(m.Background)<<3 | flag(keyed)<<4 | flag(m.Running)<<5 |
		flag(m.NoWait)<<6 | flag(m.Reason != "")<<7, flag(m.Anew) | flag(m.Desktop)<<1 | flag(m.FileAccess)<<2 | flag(m.List)<<3 | flag(m.JSON)<<4}
	if keyed {
		b = append(b, m.Key[:]...)
	}
	b = append(b, m.Apart[0]|m.Apart[1]<<2|m.Apart[2]<<4)
	b = binary.BigEndian.AppendUint16(b, m.Rows)
	b = binary.BigEndian.AppendUint16(b, m.Columns)
	b = appendString(b, m.Command)
	b = appendString(b, m.TargetUser)
	b = appendStrings(b, m.Argv)
	b = appendStrings(b, m.Env)
	if m.Reason != "" {
		b = appendString(b, m.Reason)
	}
	if m.For > 0 {
		b = binary.BigEndian.AppendUint32(b, m.For)
	}
	return b
}

// DecodeRequest reads the body of a Request frame.
func DecodeRequest(body []byte) (Request, error) {
	d := decoder{rest: body}
	version, flags, more := d.byte(), d.byte(), d.byte()
	keyed := flags&16 != 0
	key := Key{}
	if keyed {
		key = d.key()
	}
	apart := d.byte()
	m := Request{
		Key:            key,
		Running:        flags&32 != 0,
		HasExecutable:  flags&1 != 0,
		NonInteractive: flags&2 != 0,
		Anew:           more&1 != 0,
		Desktop:        more&2 != 0,
		FileAccess:     more&4 != 0,
		List:           more&8 != 0,
		JSON:           more&16 != 0,
		Terminal:       flags&4 != 0,
		Background:     flags&8 != 0,
		Apart:          [3]uint8{apart & 3, apart >> 2 & 3, apart >> 4 & 3},
		Rows:           d.uint16(),
		Columns:        d.uint16(),
		Command:        d.string(),
		TargetUser:     d.string(),
		Argv:           d.strings(),
		Env:            d.strings(),
		NoWait:         flags&64 != 0,
	}
	if flags&128 != 0 {
		m.Reason = d.string()
	}
	if len(d.rest) > 0 {
		m.For = d.uint32()
		d.failed = d.failed || m.For == 0
	}
	if version != Version || more > 31 || apart > 63 || keyed && key == (Key{}) || flags&128 != 0 && m.Reason == "" {
		d.failed = true
	}
	return m, d.end()
}

// Encode returns the body of a Prompt frame.
func (m Prompt) Encode() []byte {
	return appendString(append(binary.BigEndian.AppendUint32(nil, m.TimeoutSeconds), flag(m.Secret)), m.Text)
}

// DecodePrompt reads the body of a Prompt frame.
func DecodePrompt(body []byte) (Prompt, error) {
	d := decoder{rest: body}
	m := Prompt{TimeoutSeconds: d.uint32()}
	secret := d.byte()
	m.Secret, m.Text = secret == 1, d.string()
	if secret > 1 {
		d.failed = true
	}
	return m, d.end()
}

// Encode returns the body of an Answer frame.
func (m Answer) Encode() []byte { return appendString([]byte{flag(m.Cancelled)}, m.Text) }

// DecodeAnswer reads the body of an Answer frame.
func DecodeAnswer(body []byte) (Answer, error) {
	d := decoder{rest: body}
	m := Answer{Cancelled: d.byte() != 0, Text: d.string()}
	return m, d.end()
}

// Encode returns the body of an Exit frame.
func (m Exit) Encode() []byte {
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, m.Code), m.Signal)
}

// DecodeExit reads the body of an Exit frame.
func DecodeExit(body []byte) (Exit, error) {
	d := decoder{rest: body}
	m := Exit{Code: d.uint32(), Signal: d.uint32()}
	return m, d.end()
}

// Encode returns the body of a Refused frame.
func (m Refused) Encode() []byte { return appendString(appendString(nil, m.Code), m.Message) }

// DecodeRefused reads the body of a Refused frame.
func DecodeRefused(body []byte) (Refused, error) {
	d := decoder{rest: body}
	m := Refused{Code: d.string(), Message: d.string()}
	return m, d.end()
}

// EncodeSignal returns the body of a Signal frame.
func EncodeSignal(s signal.Sent) []byte {
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, uint32(s.Signal)), s.By)
}

// DecodeSignal reads the body of a Signal frame.
func DecodeSignal(body []byte) (signal.Sent, error) {
	d := decoder{rest: body}
	s := signal.Sent{Signal: signal.Signal(d.uint32()), By: d.uint32()}
	return s, d.end()
}
