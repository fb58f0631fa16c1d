package local

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"kpm/core"
	"kpm/core/door"
	"kpm/core/port"
	"kpm/launcher"
	"kpm/launcher/seal"
)

// maxFiles is how many descriptors a request carries at most.
const maxFiles = 5

// fileReader reads the byte stream and keeps the descriptors that come with
// it. More than a request may carry end the stream.
type fileReader struct {
	conn  port.DoorConn
	max   int
	files []*os.File
}

func (r *fileReader) Read(p []byte) (int, error) {
	n, files, err := r.conn.ReadWithFiles(p)
	r.files = append(r.files, files...)
	if err == nil && len(r.files) > r.max {
		err = fmt.Errorf("%w: found more than %d descriptors", errRequest, r.max)
	}
	if err != nil {
		return 0, err // not n: io.ReadFull drops an error that comes with enough bytes
	}
	return n, nil
}

func (r *fileReader) closeFiles() {
	for _, f := range r.files {
		f.Close()
	}
}

// readRequest reads the first frame and its descriptors within timeout. After an
// error no descriptor stays open.
func (c *caller) readRequest(timeout time.Duration) (submitted launcher.Submission, err error) {
	if err := c.readUntil(time.Now().Add(timeout)); err != nil {
		return submitted, err
	}
	r := &fileReader{conn: c.conn, max: maxFiles}
	defer func() {
		if err == nil {
			return
		}
		r.closeFiles()
		if c.readUntil(longAgo) == errGivenUp {
			err = errGivenUp
		}
	}()
	kind, body, err := door.Read(r)
	if err != nil {
		return submitted, err
	}
	if kind == door.TypeList || kind == door.TypeMemory {
		return c.readQuestion(kind, body, r.files)
	}
	if kind != door.TypeRequest {
		return submitted, fmt.Errorf("%w: the first frame is of type %d, expected a request", errRequest, kind)
	}
	m, err := door.DecodeRequest(body)
	if err != nil {
		return submitted, err
	}
	// Whoever is given up now, when everything has arrived, is not.
	if err := c.conn.SetReadDeadline(time.Time{}); err != nil {
		return submitted, err
	}
	return newRequest(m, r.files)
}

// readQuestion reads what asks for a listing, or about what is remembered. Nothing
// travels with it.
func (c *caller) readQuestion(kind door.Type, body []byte, files []*os.File) (launcher.Submission, error) {
	submitted, err := question(kind, body)
	if err != nil {
		return launcher.Submission{}, err
	}
	if len(files) > 0 {
		return launcher.Submission{}, fmt.Errorf("%w: found %d descriptors, expected none", errRequest, len(files))
	}
	if err := c.conn.SetReadDeadline(time.Time{}); err != nil {
		return launcher.Submission{}, err
	}
	return submitted, nil
}

func question(kind door.Type, body []byte) (launcher.Submission, error) {
	if kind == door.TypeMemory {
		m, err := door.DecodeMemory(body)
		return launcher.Submission{Memory: &m}, err
	}
	m, err := door.DecodeList(body)
	return launcher.Submission{List: true, JSON: m.JSON, ListFor: m.User}, err
}

// requestFault words a malformed first frame for the person who sent it; false
// if the caller just went away.
func requestFault(err error) (code, text string, ok bool) {
	switch {
	case core.OutOfResources(err):
		return door.CodeUnavailable, core.ResourceFault(err), true
	case errors.Is(err, errGivenUp):
		return door.CodeUnavailable, "too many callers wait without a request: try again in a second", true
	case errors.Is(err, os.ErrDeadlineExceeded):
		return door.CodeBadRequest, "the request did not arrive in time", true
	case errors.Is(err, errRequest):
		return door.CodeBadRequest, err.Error(), true
	case errors.Is(err, door.ErrFrame):
		return door.CodeBadRequest, "the request cannot be understood: are keepersudo and the service of the same version?", true
	}
	return "", "", false
}

// errGivenUp ends the wait for a request that somebody else's could not wait for.
var errGivenUp = errors.New("it is given up for somebody else's sake")

// errRequest is wrapped by what is wrong with an otherwise well-formed request.
var errRequest = errors.New("bad request")

// newRequest makes what the launcher takes of a request and its descriptors, in the order that
// docs/wire.md gives.
func newRequest(m door.Request, files []*os.File) (launcher.Submission, error) {
	want := 4
	if m.HasExecutable {
		want = 5
	}
	if len(files) != want {
		return launcher.Submission{}, fmt.Errorf("%w: found %d descriptors, expected %d", errRequest, len(files), want)
	}
	if m.Command == "" || len(m.Argv) == 0 {
		return launcher.Submission{}, fmt.Errorf("%w: no command", errRequest)
	}
	for _, text := range []string{m.Command, m.TargetUser, m.Reason} {
		if !utf8.ValidString(text) {
			return launcher.Submission{}, fmt.Errorf("%w: %q is not UTF-8 text", errRequest, text)
		}
	}
	// Arguments are bytes (decision 24a); at a NUL the kernel would cut one short.
	for _, text := range append([]string{m.Command, m.TargetUser}, m.Argv...) {
		if strings.ContainsRune(text, 0) {
			return launcher.Submission{}, fmt.Errorf("%w: %q has a NUL", errRequest, text)
		}
	}
	submitted := launcher.Submission{
		Request: seal.Request{Command: m.Command, TargetUser: m.TargetUser, Argv: m.Argv, Dir: files[0]}, Env: m.Env,
		For: time.Duration(m.For) * time.Second,
		Key: m.Key, Running: m.Running, NonInteractive: m.NonInteractive, Anew: m.Anew, Rows: m.Rows, Columns: m.Columns,
		FileAccess: m.FileAccess, List: m.List, JSON: m.JSON, Terminal: m.Terminal, Background: m.Background, Apart: m.Apart, NoWait: m.NoWait, Reason: m.Reason, Desktop: m.Desktop,
		Streams: port.Streams{Input: files[1], Output: files[2], Error: files[3]},
	}
	if m.HasExecutable {
		submitted.Executable = files[4]
	}
	return submitted, nil
}
