// Package state is the state machine of a job run, as tables: what moves a run from
// one state to the next, and what follows a task. Tests make a model of them, which a
// model checker goes through (model_test.go).
//
// It is pure: it runs nothing and keeps nothing.
package state

// State is where a run stands.
type State string

// The states. All but Queued and Running are final.
const (
	Queued    State = "queued"    // waits for its turn
	Running   State = "running"   // a task is under way, or between two
	Succeeded State = "succeeded" // its tasks are done
	Failed    State = "failed"    // a task failed, and its job says not to go on
	Skipped   State = "skipped"   // no task ran: its condition was not met, or another run had precedence
	Cancelled State = "cancelled" // somebody ended it, or the service stopped
	// Interrupted is found at the next start: the service ended without a word.
	Interrupted State = "interrupted"
)

// Final reports whether nothing can follow s.
func (s State) Final() bool { return s != Queued && s != Running }

// Cause is what moves a run.
type Cause string

// The causes.
const (
	Begin  Cause = "begin"
	Skip   Cause = "skip"
	Finish Cause = "finish"
	Fail   Cause = "fail"
	Cancel Cause = "cancel"
	Crash  Cause = "crash"
)

// Transition is one row of the table of runs.
type Transition struct {
	From  State
	Cause Cause
	To    State
}

var transitions = [...]Transition{
	{Queued, Begin, Running},
	{Queued, Skip, Skipped},
	{Queued, Fail, Failed}, // it does not take what it was started with
	{Queued, Cancel, Cancelled},
	{Queued, Crash, Interrupted},
	{Running, Finish, Succeeded},
	{Running, Fail, Failed},
	{Running, Cancel, Cancelled},
	{Running, Crash, Interrupted},
}

// After returns the state that follows from by cause; false if none does.
func After(from State, cause Cause) (State, bool) {
	for _, t := range transitions {
		if t.From == from && t.Cause == cause {
			return t.To, true
		}
	}
	return from, false
}

// Outcome is how a task ended.
type Outcome string

// The outcomes. A skipped task has not run.
const (
	TaskSucceeded Outcome = "succeeded"
	TaskFailed    Outcome = "failed"
	TaskSkipped   Outcome = "skipped"
)

// Route is what the job file says for an outcome: OnSuccess or OnFailure.
type Route string

// The routes.
const (
	NoRoute Route = "none"
	ToTask  Route = "task"
	ToStop  Route = "stop"
	// ToFail ends the run as failed, also after a success: so do those that have dealt
	// with a failure.
	ToFail Route = "fail"
)

// Move is what follows a task.
type Move string

// The moves.
const (
	Next     Move = "next"      // the next task of the list
	Follow   Move = "follow"    // the task that the route names
	EndWell  Move = "end-well"  // the run has succeeded
	EndBadly Move = "end-badly" // the run has failed
)

// Step is one row of the table of tasks: what follows an outcome. Goes says that the
// task has ContinueOnFailure, or that it makes no difference.
type Step struct {
	Outcome Outcome
	Route   Route
	Goes    bool
	Move    Move
}

// steps is the published rule: a skipped task takes no route, and the next in the list
// follows it.
var steps = [...]Step{
	{TaskSkipped, NoRoute, true, Next},
	{TaskSucceeded, NoRoute, true, Next},
	{TaskSucceeded, ToTask, true, Follow},
	{TaskSucceeded, ToStop, true, EndWell},
	{TaskSucceeded, ToFail, true, EndBadly},
	{TaskFailed, NoRoute, true, Next},
	{TaskFailed, NoRoute, false, EndBadly},
	{TaskFailed, ToTask, true, Follow},
	{TaskFailed, ToTask, false, Follow},
	{TaskFailed, ToStop, true, EndBadly},
	{TaskFailed, ToStop, false, EndBadly},
	{TaskFailed, ToFail, true, EndBadly},
	{TaskFailed, ToFail, false, EndBadly},
}

// Follows returns what follows a task: route is that of its outcome, goesOn its
// ContinueOnFailure.
func Follows(outcome Outcome, route Route, goesOn bool) Move {
	switch outcome {
	case TaskSkipped:
		route, goesOn = NoRoute, true
	case TaskSucceeded:
		goesOn = true
	}
	for _, s := range steps {
		if s.Outcome == outcome && s.Route == route && s.Goes == goesOn {
			return s.Move
		}
	}
	return EndBadly // a test knows that every case has a row
}
