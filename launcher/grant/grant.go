// Package grant keeps what people need not be asked again for a time: grants, each
// of one policy's controls that somebody has satisfied, for one user, in one place
// (core.Origin.Key), for one target, and for one command or all that the policy is
// about.
//
// A grant stands for controls and for nothing else. Policy decides about every
// command as it would without, so that a DENY holds at once whatever was granted;
// who does not ask again is the launcher, of what the policy's answer still demands.
//
// Time is counted by a clock that nobody can set and that stands still while the
// machine is off: to set the wall clock neither prolongs nor shortens anything. No
// grant outlives the boot that it was given in, and no place that it was given for
// does either.
package grant

import (
	"slices"
	"time"

	"kpm/core"
)

// Grant is one grant.
type Grant struct {
	ID       string         `json:"id"`
	User     core.UserID    `json:"user"`
	UserName string         `json:"userName"`
	Policy   core.PolicyRef `json:"policy"`
	Controls []core.Control `json:"controls"`
	Target   core.UserID    `json:"target"`
	As       string         `json:"as"` // the target's name
	Key      string         `json:"key"`
	Origin   core.Origin    `json:"origin"`
	Request  core.RequestID `json:"request"` // that it was given with
	// Seal is the digest of what it is for, and Command shows that; both are empty
	// for all that the policy is about.
	Seal    string `json:"seal,omitempty"`
	Command string `json:"command,omitempty"`
	// Administrator is true if the person is an administrator as long as it lasts.
	Administrator bool `json:"administrator,omitempty"`
	// Given, Renewed and Ends are ages of the store; At and Until are what the wall
	// clock said, for people.
	Given   time.Duration `json:"given"`
	Renewed time.Duration `json:"renewed"`
	Ends    time.Duration `json:"ends"`
	At      time.Time     `json:"at"`
	// Uses is how many commands it still serves; nil is any number.
	Uses     *int `json:"uses,omitempty"`
	Renewals int  `json:"renewals,omitempty"` // so far
}

// Request is what somebody asks, as far as grants are concerned.
type Request struct {
	ID       core.RequestID
	User     core.UserID
	UserName string
	Target   core.UserID
	As       string
	Origin   core.Origin
	Seal     string
	Command  string
	Demands  []core.Demand
}

// serves reports whether g stands for what demand asks of r, at an age. The terms
// are those of the policy as it is now: it may have become stricter.
func (g *Grant) serves(r *Request, demand *core.Demand, age time.Duration) bool {
	terms := demand.Grant
	switch {
	case terms == nil, g.Policy.ID != demand.ID, g.User != r.User, g.Target != r.Target:
		return false
	case g.Seal != r.Seal && (g.Seal != "" || !terms.Everything):
		return false
	case age >= g.Ends, age >= g.Renewed+time.Duration(terms.For), g.Uses != nil && *g.Uses == 0:
		return false
	}
	if r.Origin.By == core.ByAgent && !terms.Agents {
		return false
	}
	// Attack: a coding agent, or a process that has nothing to do with the terminal,
	// asks in the hope that somebody has satisfied policy lately.
	key := r.Origin.Key()
	return key != "" && key == g.Key || r.Origin.By == core.ByAgent && g.Key == r.Origin.KeyOfPerson()
}

// Left is how much time a grant has at an age.
func (g *Grant) left(age time.Duration) time.Duration { return max(0, g.Ends-age) }

// covered returns the controls among demands that grants stand for: those of which
// every policy that asks for them has one. find returns that grant, or nil.
func covered(demands []core.Demand, find func(*core.Demand, core.Control) *Grant) (controls []core.Control, by []*Grant) {
	for _, c := range controlsOf(demands) {
		var all []*Grant
		whole := true
		for i := range demands {
			if !slices.Contains(demands[i].Controls, c) {
				continue
			}
			g := find(&demands[i], c)
			whole = whole && g != nil
			all = append(all, g)
		}
		if !whole {
			continue
		}
		controls = append(controls, c)
		for _, g := range all {
			if !slices.Contains(by, g) {
				by = append(by, g)
			}
		}
	}
	return controls, by
}

func controlsOf(demands []core.Demand) (list []core.Control) {
	for _, d := range demands {
		list = append(list, d.Controls...)
	}
	slices.Sort(list)
	return slices.Compact(list)
}
