package sudo

import (
	"errors"
	"time"

	"kpm/core/door"
	"kpm/core/port/caller"
	"kpm/core/signal"
)

// How a service is looked for that has gone.
const (
	firstPause   = 50 * time.Millisecond // before the first look; as long again as it is away, then
	longestPause = 500 * time.Millisecond
	// awayAtMost is how long it may be away while nothing runs, or when what ran
	// has ended.
	awayAtMost = 30 * time.Second
	// comesWithin is how long it may have been away, and is waited for, when we
	// have not asked it anything yet: one that is restarted costs nobody an
	// answer, and one that was stopped is not waited for.
	comesWithin = 5 * time.Second
	// worthSaying is after how long the person is told.
	worthSaying = 2 * time.Second
	// obeyWithin is how long a signal waits for the service, that is to end the
	// command, before it ends us.
	obeyWithin = 10 * time.Second
)

// waiting is shown when the service is away for longer.
const waiting = "keepersudo: the service is not running; waiting for it (Ctrl-C ends this)\n"

// gone is that the service went away before it answered.
var gone = &failure{exitRefused, "the service has closed the connection and is not back; whether the command ran is in its journal"}

// connect connects to the service of root, and waits for one that has just gone,
// or is about to come.
func connect(host caller.Host, root string) *failure {
	for began, said := time.Now(), false; ; time.Sleep(firstPause) {
		err := host.Service.Connect(root)
		if err == nil {
			return nil
		}
		var absent *caller.Absent
		if !errors.As(err, &absent) || time.Since(absent.Seen) > comesWithin || time.Since(began) > comesWithin {
			return &failure{exitRefused, err.Error()}
		}
		if !said && time.Since(began) > worthSaying {
			said = true
			say(host.Stderr, waiting)
		}
	}
}

// askAgain finds the service again that has closed the connection without an
// answer, as one does that is restarted, and asks it the same once more: it knows
// by the key what has become of the request. As long as a command may run there
// is no end to this, since it is us who have its terminal.
func (s *session) askAgain() *failure {
	s.setAway()
	if s.host.Random == nil {
		return gone
	}
	if s.silent.IsZero() {
		s.silent = time.Now()
	}
	for {
		time.Sleep(min(max(firstPause, time.Since(s.silent)), longestPause))
		// One that takes the request and says nothing again is no better.
		if time.Since(s.silent) <= awayAtMost && s.reconnected() {
			return nil
		}
		switch {
		case s.runs() && !s.host.Console.Over():
			s.silent = time.Now()
		case time.Since(s.silent) > awayAtMost:
			return gone
		case !s.said && time.Since(s.silent) > worthSaying && !s.runs():
			s.said = true
			say(s.host.Stderr, waiting)
		}
	}
}

func (s *session) setAway() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.away = true
}

func (s *session) runs() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.started
}

// reconnected asks again, if the service is there.
func (s *session) reconnected() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.host.Service.Connect(s.root) != nil {
		return false
	}
	s.request.Running = s.started
	s.request.send(s.host)
	s.away = false
	for _, sent := range s.unsent {
		_ = s.send(door.TypeSignal, door.EncodeSignal(sent))
	}
	s.unsent = nil
	return true
}

// maxUnsent bounds the signals that are kept for a service that is away; like
// the kernel, more of them add nothing.
const maxUnsent = 32

// keep keeps what the command is to be told, which may run without our having
// heard of it. A command that nobody can tell anything is not waited for either.
// s.mu is held.
func (s *session) keep(sent signal.Sent) {
	if len(s.unsent) < maxUnsent {
		s.unsent = append(s.unsent, sent)
	}
	switch sent.Signal {
	case signal.Interrupt, signal.Terminate, signal.Hangup, signal.Quit:
		time.AfterFunc(obeyWithin, func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			if s.away {
				s.host.Console.Restore()
				s.host.Signals.EndBy(sent.Signal)
			}
		})
	}
}
