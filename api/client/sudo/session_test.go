package sudo

import (
	"bytes"
	"errors"
	"io/fs"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"kpm/core/door"
	"kpm/core/port/caller"
	"kpm/core/signal"
)

// system is an operating system that does what a test says.
type system struct {
	programErr, directoryErr, connectErr, randomErr error
	says                                            [][]byte // frames of the service
	ask                                             func(s *system, cancelled func() bool) (string, caller.Outcome)

	stdout, stderr bytes.Buffer
	root           string // connected to
	connect        func() error
	frames         [][]byte
	handles        []uintptr
	closed         []uintptr
	shown          string
	received       int
	carried        int
	over           bool // the command's terminal has ended
	drained        int
	restored       int32 // atomic
	deliver        func(signal.Sent)
	endedBy        signal.Signal
}

func (s *system) host() caller.Host {
	return caller.Host{DefaultRoot: "/default", Administrator: true, Stdout: &s.stdout, Stderr: &s.stderr, Random: s.random,
		Handles: s, Service: s, Console: s, Prompt: s, Signals: s}
}

func (s *system) Directory() (uintptr, error)     { return 10, s.directoryErr }
func (s *system) Program(string) (uintptr, error) { return 11, s.programErr }
func (s *system) Standard() [3]uintptr            { return [3]uintptr{20, 21, 22} }
func (s *system) Close(handle uintptr)            { s.closed = append(s.closed, handle) }

func (s *system) random(p []byte) error {
	copy(p, "a key of 16 bytes")
	return s.randomErr
}

func (s *system) Connect(root string) error {
	s.root = root
	if s.connect != nil {
		return s.connect()
	}
	return s.connectErr
}

func (s *system) Read(p []byte) (int, error) {
	for len(s.says) > 0 && len(s.says[0]) == 0 {
		s.says = s.says[1:]
	}
	if len(s.says) == 0 {
		return 0, errors.New("closed")
	}
	n := copy(p, s.says[0])
	s.says[0] = s.says[0][n:]
	return n, nil
}

func (s *system) Send(frame []byte, handles ...uintptr) error {
	s.frames = append(s.frames, frame)
	s.handles = append(s.handles, handles...)
	return nil
}

func (s *system) Screen() caller.Screen {
	return caller.Screen{Rows: 24, Columns: 80, Terminal: true, Background: true, Apart: [3]uint8{0, 1, 2}}
}
func (s *system) Receive()   { s.received++ }
func (s *system) Carry()     { s.carried++ }
func (s *system) Over() bool { return s.over }
func (s *system) Drain()     { s.drained++ }
func (s *system) Restore()   { atomic.AddInt32(&s.restored, 1) }

func (s *system) Ask(q caller.Question, _ time.Duration, cancelled func() bool) (string, caller.Outcome) {
	s.shown += q.Text
	return s.ask(s, cancelled)
}

func (s *system) Wake() {}

func (s *system) Watch(deliver func(signal.Sent)) { s.deliver = deliver }

func (s *system) Number(sig signal.Signal) uint32 { return 40 + uint32(sig) }

// EndBy ends the test's goroutine in place of the process.
func (s *system) EndBy(sig signal.Signal) {
	s.endedBy = sig
	runtime.Goexit()
}

// main runs a command line, which a signal may end.
func (s *system) main(args ...string) int {
	status := make(chan int, 1)
	go func() {
		defer close(status)
		status <- Main(args, "1.2.3", s.host())
	}()
	return <-status
}

func frame(kind door.Type, body []byte) []byte { return door.Append(nil, kind, body) }

// sent decodes the frames that keepersudo sent after its request.
func (s *system) sent(t *testing.T) (kinds []door.Type, bodies [][]byte) {
	t.Helper()
	for _, f := range s.frames[1:] {
		kind, body, err := door.Read(bytes.NewReader(f))
		if err != nil {
			t.Fatal(err)
		}
		kinds, bodies = append(kinds, kind), append(bodies, body)
	}
	return kinds, bodies
}

func TestWhatIsHandedOver(t *testing.T) {
	for command, want := range map[string][]uintptr{"id": {10, 20, 21, 22}, "./tool": {10, 20, 21, 22, 11}} {
		s := &system{says: [][]byte{frame(door.TypeExit, door.Exit{Code: 3}.Encode())}}
		if status := s.main("--root", "/r", command, "-x"); status != 3 || s.root != "/r" || s.stderr.Len() > 0 {
			t.Errorf("%s: %d, %q, %s", command, status, s.root, &s.stderr)
		}
		if _, body, err := door.Read(bytes.NewReader(s.frames[0])); err != nil {
			t.Error(err)
		} else if r, err := door.DecodeRequest(body); err != nil || r.Rows != 24 || !r.Terminal || !r.Background || r.Apart != [3]uint8{0, 1, 2} {
			t.Errorf("%s: asked for %+v, %v", command, r, err)
		}
		// They stay open: they may be handed over again.
		if !slices.Equal(s.handles, want) || len(s.closed) > 0 {
			t.Errorf("%s: handed over %v, closed %v", command, s.handles, s.closed)
		}
		if s.drained != 1 || atomic.LoadInt32(&s.restored) != 1 {
			t.Errorf("%s: drained %d times, restored %d times", command, s.drained, atomic.LoadInt32(&s.restored))
		}
	}
}

// What keepersudo knows by itself is asked of nobody.
func TestWhatIsNotSent(t *testing.T) {
	for name, tc := range map[string]struct {
		system system
		args   []string
		status int
		says   string
	}{
		"no such file":     {system{programErr: &fs.PathError{Op: "open", Path: "x", Err: fs.ErrNotExist}}, []string{"./x"}, 127, "keepersudo: ./x: no such file\n"},
		"not to be opened": {system{programErr: fs.ErrPermission}, []string{"./x"}, 126, "keepersudo: ./x: " + fs.ErrPermission.Error() + "\n"},
		"no directory":     {system{directoryErr: fs.ErrPermission}, []string{"id"}, 1, "go to another one\n"},
		"nothing random":   {system{randomErr: errors.New("no entropy")}, []string{"id"}, 1, "nothing random to be had: no entropy"},
		"no service":       {system{connectErr: errors.New("it is not running\x1b")}, []string{"id"}, 1, "keepersudo: it is not running\ufffd\n"},
		"too long":         {system{}, []string{"echo", strings.Repeat("x", door.MaxFrame)}, 2, "too long"},
		"misuse":           {system{}, []string{"-x"}, 2, "see keepersudo --help\n"},
	} {
		if status := tc.system.main(tc.args...); status != tc.status || !strings.Contains(tc.system.stderr.String(), tc.says) || tc.system.frames != nil {
			t.Errorf("%s: %d, %q, %d frames", name, status, &tc.system.stderr, len(tc.system.frames))
		}
	}
}

func TestHelpNamesTheRootOfThisSystem(t *testing.T) {
	s := &system{}
	if status := s.main("--help"); status != 0 || !strings.Contains(s.stdout.String(), "KEEPER_AGENT_ROOT and\n                          /default\n") {
		t.Errorf("%d: %s", status, &s.stdout)
	}
}

func TestPromptOutcomes(t *testing.T) {
	for _, tc := range []struct {
		outcome caller.Outcome
		args    []string
		want    []door.Answer
	}{
		{caller.Answered, nil, []door.Answer{{Text: "because"}}},
		{caller.Cancelled, nil, []door.Answer{{Cancelled: true, Text: "because"}}},
		{caller.Overtaken, nil, nil},
		{caller.Answered, []string{"-n"}, []door.Answer{{Cancelled: true}}},
	} {
		s := &system{
			says: [][]byte{asked("Why?\x1b"), frame(door.TypeExit, door.Exit{}.Encode())},
			ask:  func(*system, func() bool) (string, caller.Outcome) { return "because", tc.outcome },
		}
		if status := s.main(append(tc.args, "id")...); status != 0 {
			t.Errorf("%+v: %d %s", tc, status, &s.stderr)
		}
		kinds, bodies := s.sent(t)
		var got []door.Answer
		for i, kind := range kinds {
			answer, err := door.DecodeAnswer(bodies[i])
			if kind != door.TypeAnswer || err != nil {
				t.Fatal(kind, err)
			}
			got = append(got, answer)
		}
		if !slices.Equal(got, tc.want) {
			t.Errorf("%+v: sent %+v", tc, got)
		}
		if want := map[bool]string{true: "", false: "Why?\ufffd "}[tc.args != nil]; s.shown != want {
			t.Errorf("%+v: shown %q", tc, s.shown)
		}
	}
}

// asked is the frame of a prompt.
func asked(text string) []byte {
	return frame(door.TypePrompt, door.Prompt{Text: text, TimeoutSeconds: 4}.Encode())
}

// At a prompt a signal is about the question, and is not the command's.
func TestSignalAtAPrompt(t *testing.T) {
	for sig, want := range map[signal.Signal]int{
		signal.Interrupt: 0, signal.Quit: 0, signal.Alarm: 0,
		signal.Terminate: 128 + 40 + int(signal.Terminate), signal.Hangup: 128 + 40 + int(signal.Hangup),
	} {
		s := &system{
			says: [][]byte{asked("Why?"), frame(door.TypeExit, door.Exit{}.Encode())},
			ask: func(s *system, cancelled func() bool) (string, caller.Outcome) {
				s.deliver(signal.Sent{Signal: signal.Suspend})
				s.deliver(signal.Sent{Signal: signal.Continue}) // fg: the question is still there
				before := cancelled()
				s.deliver(signal.Sent{Signal: sig})
				if before || !cancelled() {
					t.Errorf("%d: cancelled before it was, or not after", sig)
				}
				return "", caller.Cancelled
			},
		}
		if status := s.main("id"); status != want || atomic.LoadInt32(&s.restored) != 1 {
			t.Errorf("%d: status %d, want %d", sig, status, want)
		}
		kinds, _ := s.sent(t)
		if answered := slices.Equal(kinds, []door.Type{door.TypeAnswer}); answered != (want == 0) {
			t.Errorf("%d: sent %v", sig, kinds)
		}
	}
}

// A signal that comes before the command runs ends keepersudo as it would have
// without a handler, when the service has ended the request, or does not hear.
func TestSignalBeforeTheCommandRuns(t *testing.T) {
	started := frame(door.TypeStarted, nil)
	refused := frame(door.TypeRefused, door.Refused{Code: door.CodeDenied}.Encode())
	for name, tc := range map[string]struct {
		sig     signal.Signal
		says    [][]byte
		endedBy signal.Signal
	}{
		"interrupted":    {signal.Interrupt, [][]byte{refused}, signal.Interrupt},
		"any other":      {signal.User1, [][]byte{refused}, signal.User1},
		"continued":      {signal.Continue, [][]byte{refused}, 0},
		"it runs by now": {signal.Interrupt, [][]byte{started, refused}, 0},
		"nobody hears":   {signal.Terminate, nil, signal.Terminate},
		"nobody hears SIGCONT, which asks for nothing": {signal.Continue, nil, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := &system{says: tc.says}
			session := &session{host: s.host()}
			session.signalled(signal.Sent{Signal: tc.sig, By: 7})
			if tc.says != nil {
				go session.attend()
			}
			time.Sleep(2 * patience)
			synctest.Wait()
			if s.endedBy != tc.endedBy || s.carried != len(tc.says)/2 {
				t.Errorf("%s: ended by %d, carried %d", name, s.endedBy, s.carried)
			}
			kind, body, err := door.Read(bytes.NewReader(s.frames[0]))
			sent, decodeErr := door.DecodeSignal(body)
			if kind != door.TypeSignal || sent != (signal.Sent{Signal: tc.sig, By: 7}) || err != nil || decodeErr != nil {
				t.Errorf("%s: sent %d, %+v", name, kind, sent)
			}
		})
	}
}

// While approvers decide, the person is told; then the same is asked once more.
func TestWaitingForApprovers(t *testing.T) {
	notice := frame(door.TypeNotice, door.Notice{Text: "waiting for approval K7QP-3M2X\x1b"}.Encode())
	s := &system{says: [][]byte{notice, frame(door.TypeAgain, nil), frame(door.TypeStarted, nil), frame(door.TypeExit, door.Exit{Code: 3}.Encode())}}
	if status := s.main("--wait", "--reason", "ticket 7", "./tool"); status != 3 || s.stderr.String() != "keepersudo: waiting for approval K7QP-3M2X\ufffd\n" {
		t.Errorf("%d, %q", status, &s.stderr)
	}
	asks := s.asks(t)
	if len(asks) != 2 || asks[0].Key != asks[1].Key || asks[1].NoWait || asks[1].Reason != "ticket 7" || asks[1].Running || !asks[1].HasExecutable {
		t.Errorf("asked %+v", asks)
	}
}

func TestWhoDoesNotWaitForApprovers(t *testing.T) {
	for _, tc := range []struct {
		args   []string
		noWait bool
	}{{[]string{"id"}, false}, {[]string{"--no-wait", "id"}, true}, {[]string{"-n", "id"}, true}, {[]string{"-n", "--wait", "id"}, false}} {
		s := &system{says: [][]byte{frame(door.TypeRefused, door.Refused{Code: door.CodeApprovalPending, Message: "later"}.Encode())}}
		if status := s.main(tc.args...); status != exitPending || s.stderr.String() != "keepersudo: later\n" {
			t.Errorf("%q: %d, %q", tc.args, status, &s.stderr)
		}
		if asks := s.asks(t); asks[0].NoWait != tc.noWait {
			t.Errorf("%q: asked %+v", tc.args, asks[0])
		}
	}
}
