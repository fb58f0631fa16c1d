// Package request is the state machine of an elevation request: docs/wire.md,
// "States of a request", in code, and the bounded store of those that are open.
//
// It is pure: it launches nothing, asks nobody and writes nothing; who records
// a transition is given to it. Facts come in through Apply and Satisfy, and
// nothing else moves a request (decision 25).
package request

import (
	"time"

	"kpm/core"
	"kpm/core/wire"
)

// State is where a request stands.
type State string

// The states. Ended, Denied, Expired and Failed are final.
const (
	Opened     State = "Opened"
	Evaluating State = "Evaluating"
	Pending    State = "Pending"
	Allowed    State = "Allowed"
	Launching  State = "Launching"
	Running    State = "Running"
	Ended      State = "Ended"
	Denied     State = "Denied"
	Expired    State = "Expired"
	Failed     State = "Failed"
)

// Final reports whether nothing can follow s.
func (s State) Final() bool {
	return s == Ended || s == Denied || s == Expired || s == Failed
}

// Cause is what moves a request from one state to the next.
type Cause string

// The causes.
const (
	Asked      Cause = "asked"
	Allow      Cause = "allow"
	Pend       Cause = "pend"
	Deny       Cause = "deny"
	NoAnswer   Cause = "no-answer"
	Satisfied  Cause = "satisfied"
	Remembered Cause = "remembered"
	Refused    Cause = "refused"
	Timeout    Cause = "timeout"
	Launch     Cause = "launch"
	// Redirected: a rule has something else launched, in a request of its own, which
	// Substitute lets go on when policy has nothing against it.
	Redirected Cause = "redirected"
	Substitute Cause = "substitute"
	Held       Cause = "held"
	// Granted: access was given to a file, which is all that was asked for.
	Granted    Cause = "granted"
	Exited     Cause = "exited"
	CallerGone Cause = "caller-gone"
	Fault      Cause = "fault"
)

// Actor is who may cause a transition.
type Actor string

// The actors.
const (
	Service Actor = "service"
	Policy  Actor = "Plugin KeeperPolicy"
	Job     Actor = "JobRun of this request"
)

// Is reports whether p is the actor for request id. A process in a user's
// session is none of them: that user can change what it says (decision 27).
func (a Actor) Is(p core.Principal, id core.RequestID) bool {
	switch a {
	case Service:
		return p.Kind == core.Service
	case Policy:
		return p.Kind == core.Plugin && p.Name == wire.PolicyPlugin && !p.InUserSession
	case Job:
		return p.Kind == core.JobRun && p.Request == id && !p.InUserSession
	}
	return false
}

// Transition is one row of the table.
type Transition struct {
	From   State
	Cause  Cause
	To     State
	By     Actor
	Record string // type of the journal record
}

// transitions is the table of docs/wire.md, in its order.
var transitions = [...]Transition{
	{Opened, Asked, Evaluating, Service, "evaluating"},
	{Evaluating, Allow, Allowed, Policy, "allowed"},
	{Evaluating, Pend, Pending, Policy, "pending"},
	{Evaluating, Deny, Denied, Policy, "denied"},
	{Evaluating, NoAnswer, Denied, Service, "denied"},
	{Pending, Satisfied, Allowed, Job, "allowed"},
	{Pending, Remembered, Allowed, Service, "allowed"},
	{Pending, Refused, Denied, Job, "denied"},
	{Pending, Timeout, Expired, Service, "expired"},
	{Allowed, Launch, Launching, Job, "launching"},
	{Allowed, Redirected, Denied, Job, "denied"},
	{Evaluating, Substitute, Launching, Policy, "launching"},
	{Launching, Held, Running, Service, "launched"},
	{Launching, Granted, Ended, Service, "ended"},
	{Running, Exited, Ended, Service, "ended"},
	{Opened, CallerGone, Denied, Service, "denied"},
	{Evaluating, CallerGone, Denied, Service, "denied"},
	{Pending, CallerGone, Denied, Service, "denied"},
	{Allowed, CallerGone, Denied, Service, "denied"},
	{Opened, Fault, Failed, Service, "failed"},
	{Evaluating, Fault, Failed, Service, "failed"},
	{Pending, Fault, Failed, Service, "failed"},
	{Allowed, Fault, Failed, Service, "failed"},
	{Launching, Fault, Failed, Service, "failed"},
	{Running, Fault, Failed, Service, "failed"},
}

// find returns the row for a cause in a state.
func find(from State, cause Cause) (Transition, bool) {
	for _, t := range transitions {
		if t.From == from && t.Cause == cause {
			return t, true
		}
	}
	return Transition{}, false
}

// Limits bound requests in time and number (docs/settings.md, "Requests").
type Limits struct {
	Evaluate time.Duration // for a decision
	Prompt   time.Duration // for a person's answer
	Launch   time.Duration // from allowed to running

	MaxOpen        int
	MaxOpenPerUser int
	// MaxRunning and MaxRunningPerUser bound requests in any state, commands
	// that run included.
	MaxRunning        int
	MaxRunningPerUser int
}

// jobTime is what a control job has for itself, beyond the person's answer.
const jobTime = 10 * time.Second

// deadline returns how long a request may stay in s, and what happens then; 0
// means for ever.
func (l Limits) deadline(s State) (time.Duration, Fact) {
	late := func(cause Cause, message string) Fact {
		return Fact{Cause: cause, By: core.ServicePrincipal(), Message: message}
	}
	switch s {
	case Evaluating:
		return l.Evaluate, late(NoAnswer, "no decision came in time")
	case Pending:
		return l.Prompt + jobTime, late(Timeout, "what policy asks for was not done in time")
	case Allowed:
		return l.Launch, late(Fault, "no job launched it in time")
	case Launching:
		return l.Launch, late(Fault, "it could not be started in time")
	}
	return 0, Fact{}
}
