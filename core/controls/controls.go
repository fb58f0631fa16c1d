// Package controls is the table of controls: what a policy may ask for, what
// each does, how a person is asked and how the service verifies the answer.
// Bits, lists, messages and documents come from it.
//
// It asks nobody and verifies nothing: package launcher/control does, with one
// file for each control that stands before a launch.
package controls

import (
	"slices"
	"strings"

	"kpm/core"
)

// Effect is what a control does to a request.
type Effect uint8

// The effects.
const (
	// Remarks is what never grants and stops nothing (decision 29).
	Remarks Effect = iota
	// Grants allows what its policy meets.
	Grants
	// Denies refuses what its policy meets.
	Denies
	// Required is what must be satisfied between PENDING and a launch, and
	// grants once every such control of a request has been.
	Required
)

// Row is one control.
type Row struct {
	Name   core.Control
	Effect Effect
	// Asked says how a person is asked, Verified how the service makes sure
	// that the answer counts: whole sentences for documents, empty unless the
	// control is Required. Verified is empty as well for a control that
	// nothing here verifies yet: a request that needs it cannot be satisfied.
	Asked, Verified string
}

// Table is a list of controls, each name once. It is not changed once it is in
// use. A requirement is a Set of its required controls, of which it has at most
// 16.
type Table []Row

// Standard returns the controls of the published policy model, in its order.
func Standard() Table {
	return Table{
		{Name: core.ControlAllow, Effect: Grants},
		{Name: core.ControlDeny, Effect: Denies},
		{Name: core.ControlMFA, Effect: Required,
			Asked:    "The person enters a code of their second factor in the terminal that the request came from.",
			Verified: "It is the code of this half minute or of a neighbouring one (RFC 6238) and was not used, or a recovery code; a right one is remembered for a few minutes ([mfa.md](mfa.md))."},
		{Name: core.ControlJustify, Effect: Required,
			Asked:    "The person gives a reason in the terminal that the request came from.",
			Verified: "It has a letter or a digit, at least as many characters as `Requests:ReasonMinimum` says and at most 1,000; or it is the number of one of `Requests:Reasons`, which is recorded."},
		{Name: core.ControlApproval, Effect: Required,
			Asked:    "The person gives a reason, and an approver whom the policy names, or an administrator, decides; never the person themself.",
			Verified: "As many approvers as each policy wants have agreed to exactly this, by their own accounts, and nothing else has run by it."},
		{Name: core.ControlNotify, Effect: Remarks},
		{Name: core.ControlAudit, Effect: Remarks},
		{Name: core.ControlRecord, Effect: Remarks},
	}
}

// Parse finds a control by its name in any case of ASCII letters: a policy is
// not to be spelled with a Kelvin sign.
func (t Table) Parse(text string) (core.Control, bool) {
	for _, r := range t {
		if equalFold(string(r.Name), text) {
			return r.Name, true
		}
	}
	return "", false
}

func equalFold(a, b string) bool {
	return len(a) == len(b) && strings.EqualFold(a, b)
}

// Effect returns what a control does. One that is not in the table is Required:
// nothing satisfies it, and so it lets nothing pass.
func (t Table) Effect(c core.Control) Effect {
	for _, r := range t {
		if r.Name == c {
			return r.Effect
		}
	}
	return Required
}

// Required returns those of list that stand between a request and its launch,
// sorted, each once: with those that the table does not have, and with DENY.
// Nothing satisfies these, so that whoever demands them lets nothing pass.
func (t Table) Required(list []core.Control) []core.Control {
	var required []core.Control
	for _, c := range list {
		if effect := t.Effect(c); effect == Required || effect == Denies {
			required = append(required, c)
		}
	}
	slices.Sort(required)
	return slices.Compact(required)
}

// String lists the names for a message: "ALLOW, DENY, MFA".
func (t Table) String() string {
	names := make([]string, len(t))
	for i, r := range t {
		names[i] = string(r.Name)
	}
	return strings.Join(names, ", ")
}

// Set is a set of the required controls of one Table.
type Set uint16

// Bit returns the Set of one required control; empty for every other.
func (t Table) Bit(c core.Control) Set {
	bit := Set(1)
	for _, r := range t {
		if r.Effect != Required {
			continue
		}
		if r.Name == c {
			return bit
		}
		bit <<= 1
	}
	return 0
}

// Lists returns the controls of every Set, sorted, by the Set itself: they are
// looked up for each decision.
func (t Table) Lists() [][]core.Control {
	var required []core.Control
	for _, r := range t {
		if r.Effect == Required {
			required = append(required, r.Name)
		}
	}
	lists := make([][]core.Control, 1<<len(required))
	for set := range lists {
		for i, c := range required {
			if set&(1<<i) != 0 {
				lists[set] = append(lists[set], c)
			}
		}
		slices.Sort(lists[set])
	}
	return lists
}
