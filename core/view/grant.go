package view

import (
	"time"

	"kpm/core"
)

// Grant is what somebody need not be asked again for a time, as GET /api/grants
// lists it.
type Grant struct {
	ID       string         `json:"id"`
	User     string         `json:"user"`
	UserID   core.UserID    `json:"userId"`
	Target   string         `json:"target"`
	Policy   core.PolicyRef `json:"policy"`
	Controls []core.Control `json:"controls"`
	// Command is what it is for; empty for all that the policy is about.
	Command string `json:"command,omitempty"`
	// From says in words where it was given, RequestedBy what sort of place that is.
	From        string         `json:"from"`
	RequestedBy core.Requester `json:"requestedBy"`
	GivenAt     time.Time      `json:"givenAt"`
	// SecondsLeft is counted by a clock that nobody can set.
	SecondsLeft int64 `json:"secondsLeft"`
	// UsesLeft is how many commands it still serves; left out for any number.
	UsesLeft *int `json:"usesLeft,omitempty"`
	// Renewals is how often it was prolonged.
	Renewals int `json:"renewals"`
}

// GrantRevoked answers whoever has ended a grant.
type GrantRevoked struct {
	ID string `json:"id"`
}
