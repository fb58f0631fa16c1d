package sudo

import (
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"kpm/core/door"
	"kpm/core/port/caller"
	"kpm/core/signal"
)

// session is one request from when it was sent until its end.
type session struct {
	host           caller.Host
	root           string
	request        *request
	nonInteractive bool
	alone          bool // no request was made: there is nothing to ask again about

	mu          sync.Mutex    // what is sent, and the fields below
	asking      bool          // a prompt is on the screen
	started     bool          // the command runs
	interrupted signal.Signal // the last one sent before the command was known to run
	away        bool          // the service is not there
	unsent      []signal.Sent // what the command was told meanwhile

	cancelled atomic.Int32 // the signal that interrupted a prompt
	silent    time.Time    // since when the service has said nothing; zero while it speaks
	said      bool         // the person knows that it is away
}

var (
	garbled = &failure{exitRefused, "the service said something unreadable; keepersudo and service must be of the same version"}
)

// ask sends the request. From before it on signals are the command's: it may
// run before we are told, and what it is told must not end us alone.
func (s *session) ask() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.host.Signals.Watch(s.signalled)
	s.request.send(s.host)
}

// attend reads what the service says until its last word.
func (s *session) attend() (int, *failure) {
	defer s.host.Console.Restore()
	for {
		kind, body, err := door.Read(s.host.Service)
		if err != nil {
			if s.alone {
				return 0, &failure{exitRefused, "the service has closed the connection"}
			}
			if failed := s.askAgain(); failed != nil {
				return 0, failed
			}
			continue
		}
		s.silent = time.Time{}
		switch kind {
		case door.TypePrompt:
			prompt, err := door.DecodePrompt(body)
			if err != nil {
				return 0, garbled
			}
			if sig := s.prompt(prompt); sig != 0 {
				return exitSignal + int(s.host.Signals.Number(sig)), nil // the service sees the caller go
			}
		case door.TypeNotice:
			notice, err := door.DecodeNotice(body)
			if err != nil {
				return 0, garbled
			}
			say(s.host.Stderr, "keepersudo: "+printable(notice.Text)+"\n")
		case door.TypeAgain:
			s.setAway()
			if !s.reconnected() { // a service that has just gone
				if failed := s.askAgain(); failed != nil {
					return 0, failed
				}
			}
		case door.TypeTerminal:
			s.host.Console.Receive()
		case door.TypeStarted:
			s.start()
		case door.TypeExit:
			exit, err := door.DecodeExit(body)
			if err != nil {
				return 0, garbled
			}
			s.host.Console.Drain()
			if exit.Signal != 0 {
				return exitSignal + int(exit.Signal), nil
			}
			return int(exit.Code), nil
		case door.TypeListing:
			listing, err := door.DecodeListing(body)
			if err != nil || !s.alone && !s.request.FileAccess && !s.request.List {
				return 0, garbled
			}
			say(s.host.Stdout, printable(listing.Text))
			if listing.Denied {
				return exitRefused, nil
			}
			return 0, nil
		case door.TypeRefused:
			refused, err := door.DecodeRefused(body)
			if err != nil {
				return 0, garbled
			}
			s.host.Console.Drain()
			s.endIfInterrupted()
			return 0, &failure{statusOf(refused.Code), refused.Message}
		default:
			return 0, &failure{exitRefused, "the service said something unknown (" + strconv.Itoa(int(kind)) +
				"); keepersudo and service must be of the same version"}
		}
	}
}

func statusOf(code string) int {
	switch code {
	case door.CodeBadRequest:
		return exitUsage
	case door.CodeNotFound:
		return exitNotFound
	case door.CodeApprovalPending:
		return exitPending
	}
	return exitRefused
}

// start begins to carry bytes to the command.
func (s *session) start() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.started, s.interrupted = true, 0
	s.host.Console.Carry()
}

// send sends one frame. s.mu is held. Whether the service is still there shows
// when it is read from.
func (s *session) send(kind door.Type, body []byte) error {
	return s.host.Service.Send(door.Append(nil, kind, body))
}

// patience is how long a service may take to hear a signal.
const patience = time.Second

// signalled passes a signal on, or cancels the prompt.
func (s *session) signalled(sent signal.Sent) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sig := sent.Signal
	if s.asking {
		s.cancel(sig)
		return
	}
	// The command may run before we are told. The service knows: a signal that
	// comes first ends the request, a later one is the command's.
	if s.alone {
		if sig != signal.Continue && sig != signal.Suspend {
			s.host.Signals.EndBy(sig)
		}
		return
	}
	if s.away || s.send(door.TypeSignal, door.EncodeSignal(sent)) != nil {
		s.keep(sent)
	}
	if !s.started && sig != signal.Continue && sig != signal.Suspend {
		s.interrupted = sig
		// A service that says nothing sees the caller go.
		time.AfterFunc(patience, s.endIfInterrupted)
	}
}

// cancel ends a question. To stop and to go on are the shell's affair.
func (s *session) cancel(sig signal.Signal) {
	if sig != signal.Continue && sig != signal.Suspend {
		s.cancelled.Store(int32(sig))
		s.host.Prompt.Wake()
	}
}

// endIfInterrupted ends keepersudo by the signal that ended the request: a
// shell stops its script when Ctrl-C has killed a command, and goes on when the
// command returned.
func (s *session) endIfInterrupted() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.interrupted != 0 {
		s.host.Signals.EndBy(s.interrupted)
	}
}
