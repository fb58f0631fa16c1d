package core

import "kpm/core/span"

// GrantTerms say under what conditions a policy's controls, once satisfied, need not
// be satisfied again for a time.
type GrantTerms struct {
	// For is the longest that one grant lasts.
	For span.Span `json:"For"`
	// Uses is how many commands a grant serves after the one that it was given
	// with; 0 is any number.
	Uses int `json:"Uses,omitempty"`
	// PerDay is for how long grants may be given within any 24 hours; 0 is no
	// bound.
	PerDay span.Span `json:"PerDay,omitzero"`
	// CoolDown is how long after the end of a grant the next may be given.
	CoolDown span.Span `json:"CoolDown,omitzero"`
	// Renewals is how often a grant may be prolonged without anything being asked
	// again. After that, a reason is asked for too.
	Renewals int `json:"Renewals,omitempty"`
	// Everything is true if a grant serves every command that the policy is about,
	// and not only the one that it was given for.
	Everything bool `json:"Everything,omitempty"`
	// Administrator is true if the person is also in the machine's groups of
	// administrators as long as the grant lasts.
	Administrator bool `json:"Administrator,omitempty"`
	// Automatic is true if a grant is given whenever the controls are satisfied,
	// and not only to who asks for one (keepersudo --for).
	Automatic bool `json:"Automatic,omitempty"`
	// Agents is true if the policy names coding agents in RequestedBy: they may be
	// given grants, and use those of the person in whose terminal they run.
	Agents bool `json:"Agents,omitempty"`
}

// Demand is what one policy asks for.
type Demand struct {
	PolicyRef
	Controls []Control `json:"Controls"`
	// Grant is nil if what it asks for is to be satisfied each time.
	Grant *GrantTerms `json:"Grant,omitempty"`
}

// Monitored is what policies that only watch would have done to a request.
type Monitored struct {
	// Policies are those that it meets.
	Policies []PolicyRef `json:"Policies"`
	// Outcome and Controls are what the answer would have been if they were
	// enforced beside those that are.
	Outcome  Outcome   `json:"Outcome"`
	Controls []Control `json:"Controls,omitempty"`
	// FilterJobs are those of these policies. They were not run, since running
	// them would be to do something: the outcome is that of filters that pass.
	FilterJobs []string `json:"FilterJobs,omitempty"`
	// Notices are what the person is told.
	Notices []Notice `json:"Notices,omitempty"`
}

// Notice is what a person is told of a policy that only watches.
type Notice struct {
	Text string `json:"Text"`
	// Acknowledge is true if the person is to say that they have read it.
	Acknowledge bool `json:"Acknowledge,omitempty"`
}
