package launcher

import (
	"time"

	"kpm/core/metrics"
	"kpm/launcher/request"
)

// Phases of an elevation, as Stats has them.
const (
	PhaseSeal     = "seal"     // from the question to a sealed, journalled request
	PhaseDecide   = "decide"   // until policy has decided
	PhaseControls = "controls" // until a person has given what policy asks for
	PhaseStart    = "start"    // from allowed until the job asks to launch
	PhaseLaunch   = "launch"   // until the command runs
	PhaseTotal    = "total"    // from the question until the command runs
)

// Answer is how an Elevate ended: Outcome is one of the constants below, Refusal
// the code of core/door of one that is refused.
type Answer struct{ Outcome, Refusal string }

// Outcomes of Elevate.
const (
	OutcomeRan     = "ran"     // the command has run to its end
	OutcomeRefused = "refused" // nothing ran, or it could not be followed to its end
	OutcomeListed  = "listed"  // only what the person may run was asked
	OutcomeHanded  = "handed"  // the next service answers
)

// Stats is what has become of questions since New.
type Stats struct {
	Answers map[Answer]uint64
	// Decisions of the policy plugin: request.Allow, Pend and Deny, and NoAnswer
	// where none came.
	Decisions map[request.Cause]uint64
	Phases    map[string]metrics.Distribution
	// Open are requests without an end, now.
	Open int
}

// stats counts for Stats.
type stats struct {
	answers   metrics.Counters[Answer]
	decisions metrics.Counters[request.Cause]
	phases    map[string]*metrics.Histogram
}

func newStats() *stats {
	s := &stats{phases: map[string]*metrics.Histogram{}}
	for _, phase := range []string{PhaseSeal, PhaseDecide, PhaseControls, PhaseStart, PhaseLaunch, PhaseTotal} {
		s.phases[phase] = &metrics.Histogram{}
	}
	return s
}

// answered counts the end of an Elevate.
func (s *stats) answered(r Result) {
	a := Answer{Outcome: OutcomeRan}
	switch {
	case r.Later:
		a.Outcome = OutcomeHanded
	case r.Refused != nil:
		a = Answer{OutcomeRefused, r.Refused.Code}
	case r.Listing != "":
		a.Outcome = OutcomeListed
	}
	s.answers.Add(a)
}

// moved counts a transition.
func (s *stats) moved(m request.Move) {
	if m.From == request.Evaluating {
		switch m.Cause {
		case request.Allow, request.Pend, request.Deny, request.NoAnswer:
			s.decisions.Add(m.Cause)
			s.took(PhaseDecide, m.After)
		}
	}
	switch {
	case m.From == request.Pending && m.To == request.Allowed:
		s.took(PhaseControls, m.After)
	case m.From == request.Allowed && m.To == request.Launching:
		s.took(PhaseStart, m.After)
	case m.From == request.Launching && m.To == request.Running:
		s.took(PhaseLaunch, m.After)
	}
}

func (s *stats) took(phase string, d time.Duration) { s.phases[phase].Observe(d) }

// Stats returns the counters.
func (l *Launcher) Stats() Stats {
	seen := Stats{Answers: l.stats.answers.All(), Decisions: l.stats.decisions.All(), Phases: map[string]metrics.Distribution{}}
	for phase, h := range l.stats.phases {
		seen.Phases[phase] = h.Seen()
	}
	seen.Open = len(l.store.All())
	return seen
}
