package execution

import (
	"kpm/core"
	"kpm/core/fair"
)

// State is whether programs are stopped before they run.
type State struct {
	// On is true if an administrator has switched it on, Needed if policies in force
	// say what may run, and Running if they are stopped.
	On, Needed, Running bool
	// Why says why they are not stopped although it is on; empty while it is being
	// started.
	Why string
}

// State says how it is now.
func (s *Server) State() State {
	s.mu.Lock()
	defer s.mu.Unlock()
	is := State{On: s.on, Needed: s.files || s.children, Running: s.on && s.link != nil}
	if is.On && !is.Running && s.fault != nil {
		is.Why = s.fault.Error()
	}
	return is
}

// Down says why policies in force are not kept, in one sentence: programs run without a
// decision although somebody has switched on that they are stopped. It is empty if they
// are stopped, or no policy says what may run.
func (s *Server) Down() string {
	is := s.State()
	if !is.Needed || is.Why == "" {
		return ""
	}
	return "policies that say which programs may run are not kept: " + is.Why
}

func (s *Server) changed() {
	if s.cfg.Changed != nil {
		s.cfg.Changed()
	}
}

// Refusal is a program that somebody was kept from starting.
type Refusal struct {
	User core.UserID // whose command started it, or who did
	Name string
	Path string
	// Policies are those that refused it, Controls what they ask for, and Message what
	// KeeperPolicy says of it.
	Policies []core.PolicyRef
	Controls []core.Control
	Message  string
	// Request is the elevated command that would have started it; empty if it was no
	// such command.
	Request core.RequestID
}

// Bounds of what people are told: of the same program once a minute, and of all of them
// tellMost at once and one every tellEvery seconds. Attack: who tries programs all day
// fills their own screen, and a loop in a script somebody else's patience.
const (
	tellMost  = 5
	tellEvery = 20 // seconds
)

// teller tells people what they were kept from.
type teller struct {
	refused  func(Refusal)
	mentions *fair.Mentions
	rate     *fair.Rate[core.UserID]
}

func newTeller(cfg Config) *teller {
	return &teller{refused: cfg.Refused, mentions: fair.NewMentions(), rate: fair.NewRate[core.UserID](1.0/tellEvery, tellMost)}
}

// decided tells of a refusal, if it is worth it.
func (t *teller) decided(person core.UserID, q question, d ruling) {
	if d.allow || t.refused == nil {
		return
	}
	if worth, _ := t.mentions.Worth(person, q.Path); !worth || t.rate.Take(person, 1) > 0 {
		return
	}
	t.refused(Refusal{
		User: d.person, Name: d.user, Path: q.Path, Policies: d.answer.Policies, Controls: d.answer.Controls, Message: d.answer.Message, Request: d.request,
	})
}
