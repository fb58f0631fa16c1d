package approval

import "kpm/core"

// State is where an approval stands.
type State string

// The states. Denied, Expired, Used and Withdrawn are final.
const (
	Pending   State = "pending"
	Escalated State = "escalated"
	Approved  State = "approved"
	Denied    State = "denied"
	Expired   State = "expired"
	Used      State = "used"
	Withdrawn State = "withdrawn"
)

// Final reports whether nothing can follow s.
func (s State) Final() bool { return s == Denied || s == Expired || s == Used || s == Withdrawn }

// Open reports whether s waits for approvers.
func (s State) Open() bool { return s == Pending || s == Escalated }

// Published is s in the published vocabulary, which has five words: what is used
// was approved, and what was withdrawn is denied to whoever would run it.
func (s State) Published() core.ApprovalStatus {
	switch s {
	case Used:
		return core.ApprovalApproved
	case Withdrawn:
		return core.ApprovalDenied
	}
	return core.ApprovalStatus(s)
}

// Cause is what moves an approval.
type Cause string

// The causes.
const (
	Agree    Cause = "agree"    // one of several approvers that are needed
	Approve  Cause = "approve"  // the last of them
	Deny     Cause = "deny"     // any one of them
	Schedule Cause = "schedule" // the schedules of all policies that ask, instead of them
	Extend   Cause = "extend"   // it may wait, or be used, for longer
	Escalate Cause = "escalate" // nobody has decided in time
	Lapse    Cause = "lapse"    // its time is over
	Launch   Cause = "launch"   // a request uses it up
	Withdraw Cause = "withdraw" // the requester does not want it any more
)

// Actor is who may cause a transition.
type Actor string

// The actors.
const (
	Approver  Actor = "approver"
	Service   Actor = "service"
	Requester Actor = "requester"
)

// Transition is one row of the table.
type Transition struct {
	From  State
	Cause Cause
	To    State
	By    Actor
}

// Transitions returns the table of docs/approvals.md, in its order.
func Transitions() []Transition {
	return []Transition{
		{Pending, Agree, Pending, Approver},
		{Pending, Approve, Approved, Approver},
		{Pending, Deny, Denied, Approver},
		{Pending, Schedule, Approved, Service},
		{Pending, Extend, Pending, Approver},
		{Pending, Escalate, Escalated, Service},
		{Pending, Lapse, Expired, Service},
		{Pending, Withdraw, Withdrawn, Requester},
		{Escalated, Agree, Escalated, Approver},
		{Escalated, Approve, Approved, Approver},
		{Escalated, Deny, Denied, Approver},
		{Escalated, Schedule, Approved, Service},
		{Escalated, Extend, Escalated, Approver},
		{Escalated, Lapse, Expired, Service},
		{Escalated, Withdraw, Withdrawn, Requester},
		{Approved, Launch, Used, Service},
		{Approved, Extend, Approved, Approver},
		{Approved, Lapse, Expired, Service},
		{Approved, Withdraw, Withdrawn, Requester},
	}
}

// next returns the row for a cause in a state.
func next(from State, cause Cause) (Transition, bool) {
	for _, t := range Transitions() {
		if t.From == from && t.Cause == cause {
			return t, true
		}
	}
	return Transition{}, false
}
