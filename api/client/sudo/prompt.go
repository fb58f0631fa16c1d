package sudo

import (
	"strings"
	"time"

	"kpm/core/door"
	"kpm/core/port/caller"
	"kpm/core/signal"
)

// prompt asks the person and sends the answer. Where there is nobody to ask
// the answer is that it was cancelled. A signal that it returns ends
// keepersudo.
func (s *session) prompt(p door.Prompt) signal.Signal {
	answer, outcome := "", caller.Cancelled
	if !s.nonInteractive {
		s.setAsking(true)
		answer, outcome = s.host.Prompt.Ask(caller.Question{Text: question(p.Text), Secret: p.Secret}, time.Duration(p.TimeoutSeconds)*time.Second,
			func() bool { return s.cancelled.Load() != 0 })
		s.setAsking(false)
	}
	switch sig := signal.Signal(s.cancelled.Swap(0)); sig {
	case signal.Terminate, signal.Hangup:
		return sig
	}
	if outcome != caller.Overtaken {
		s.mu.Lock()
		defer s.mu.Unlock()
		_ = s.send(door.TypeAnswer, door.Answer{Cancelled: outcome == caller.Cancelled, Text: answer}.Encode())
	}
	return 0
}

func (s *session) setAsking(asking bool) {
	s.mu.Lock()
	s.asking = asking
	s.mu.Unlock()
}

// question is text as it is shown, apart from what is typed after it.
func question(text string) string {
	text = printable(text)
	if !strings.HasSuffix(text, " ") && !strings.HasSuffix(text, "\n") {
		text += " "
	}
	return text
}
