package request

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"kpm/core"
)

// Errors of facts that change nothing.
var (
	ErrUnknown      = core.NewError(core.NotFound, "no such request")
	ErrConflict     = core.NewError(core.Conflict, "the request is not in a state for this")
	ErrNotPermitted = core.NewError(core.NotPermitted, "not permitted to do this to the request")
	ErrTooMany      = core.NewError(core.TooMany, "too many open requests")
)

// Fact is something that happened to a request, and what is known about it.
type Fact struct {
	Cause Cause
	By    core.Principal
	// In, if set, is the only state that the fact is about: in another one it
	// is news from yesterday.
	In State
	// Message says why, in words that the caller may be told; Detail is for the
	// journal alone.
	Message  string
	Detail   string
	Policies []core.PolicyRef
	// Controls are what Pend requires; for Satisfy, the one control.
	Controls []core.Control
	// Granted are those of Controls that grants stand for, Grants the ids of these:
	// with Pend, nothing of it is asked for again.
	Granted []core.Control
	Grants  []string
	// Monitored is what policies that only watch would have done, with a decision.
	Monitored *core.Monitored
	// Paths are the arguments that Allow or Pend was decided on as files.
	Paths []core.PathArgument
	// Approvals say whom APPROVAL takes, of Pend.
	Approvals []core.ApprovalRule
	// Child and Group name what Held holds.
	Child core.ProcessID
	Group string
	// Children are what the command of Held may start; nil where nobody decides about
	// that.
	Children *core.ChildTerms
	// Exit is how the child of Exited ended, after running for Elapsed; nil if
	// the service stops and the command goes on.
	Exit    *core.ExitStatus
	Elapsed time.Duration
	// NotRun: of what was launched it is known that nothing has run.
	NotRun bool
}

// Recorder writes the journal record of a transition or a control before the
// request moves. It is called with the request locked and must not call back.
type Recorder func(id core.RequestID, record string, f Fact) error

// Move is one transition that has happened, without what it was about.
type Move struct {
	From, To State
	Cause    Cause
	After    time.Duration // in From
}

// recordControl is the record of a control, which is no transition.
const recordControl = "control"

// Request is one elevation request. Its methods may be called concurrently.
type Request struct {
	id     core.RequestID
	limits Limits
	record Recorder
	forget func(*Request) // called once, on becoming final, not under mu
	// substitute: a redirect rule has it launched, and policy is not asked.
	substitute bool
	moved      func(Move) // called with the request locked; nil if nobody asks

	mu        sync.Mutex
	state     State
	last      Fact // what led to state
	required  []core.Control
	satisfied []core.Control
	paths     []core.PathArgument // of the decision
	approvals []core.ApprovalRule // the same
	timer     *time.Timer         // the deadline of state
	entered   time.Time           // when state was entered
	changed   chan struct{}
}

// ID returns the request's name.
func (r *Request) ID() core.RequestID { return r.id }

// View returns the state, the fact that led to it, and a channel that is closed
// when both are no longer true.
func (r *Request) View() (State, Fact, <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.state, r.last, r.changed
}

// Paths returns the arguments that policy has decided on as files.
func (r *Request) Paths() []core.PathArgument {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.paths
}

// Approvals returns whom the decision wants to approve.
func (r *Request) Approvals() []core.ApprovalRule {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.approvals
}

// Missing returns the required controls that have not been recorded.
func (r *Request) Missing() []core.Control {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.missing()
}

// Satisfied are the controls that were recorded.
func (r *Request) Satisfied() []core.Control {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.satisfied)
}

func (r *Request) missing() []core.Control {
	return slices.DeleteFunc(slices.Clone(r.required), func(c core.Control) bool {
		return slices.Contains(r.satisfied, c)
	})
}

// Apply moves the request. It returns ErrConflict when the table has no such
// row, ErrNotPermitted when f.By is not the row's actor, and otherwise the
// recorder's error. A transition that cannot be recorded does not happen and
// the request fails instead; one that ends the request ends it in any case,
// since nothing can be granted any more.
func (r *Request) Apply(f Fact) error {
	if f.Cause == Satisfied || f.Cause == Remembered {
		return fmt.Errorf("request: %s: only Satisfy, or a decision, does this: %w", f.Cause, ErrConflict)
	}
	r.mu.Lock()
	err := r.apply(f)
	final := r.state.Final()
	r.mu.Unlock()
	if final {
		r.forget(r)
	}
	return err
}

// Satisfy records that the controls in f have been verified. When none is
// missing any more the request is allowed. Controls that were not asked for
// are refused: nobody may collect them in advance.
func (r *Request) Satisfy(f Fact) error {
	r.mu.Lock()
	err := r.satisfy(f)
	final := r.state.Final()
	r.mu.Unlock()
	if final {
		r.forget(r)
	}
	return err
}

func (r *Request) satisfy(f Fact) error {
	f.Cause = Satisfied
	if _, err := r.permitted(f); err != nil {
		return err
	}
	for _, c := range f.Controls {
		if !slices.Contains(r.required, c) {
			return fmt.Errorf("request: control %s is not required: %w", c, ErrConflict)
		}
	}
	if err := r.record(r.id, recordControl, f); err != nil {
		return r.unrecorded(recordControl, err)
	}
	r.satisfied = append(r.satisfied, f.Controls...)
	if len(r.missing()) > 0 {
		return nil
	}
	f.Controls = nil
	return r.apply(f)
}

// permitted finds the row for f and checks who says so.
func (r *Request) permitted(f Fact) (Transition, error) {
	t, ok := find(r.state, f.Cause)
	if !ok || f.In != "" && f.In != r.state {
		return t, fmt.Errorf("request: %s in state %s: %w", f.Cause, r.state, ErrConflict)
	}
	// Attack: what nobody has allowed is launched as if a rule had named it; or what a
	// rule names becomes a request that a job launches, a second time.
	if f.Cause == Substitute && !r.substitute || (f.Cause == Allow || f.Cause == Pend) && r.substitute {
		return t, fmt.Errorf("request: %s: that is not what it was opened for: %w", f.Cause, ErrConflict)
	}
	if !t.By.Is(f.By, r.id) {
		return t, fmt.Errorf("request: %s by %s, only %s may: %w", f.Cause, f.By, t.By, ErrNotPermitted)
	}
	return t, nil
}

func (r *Request) apply(f Fact) error {
	t, err := r.permitted(f)
	if err != nil {
		return err
	}
	if t.To == Pending && len(f.Controls) == 0 {
		return fmt.Errorf("request: %s without controls would be an allow: %w", f.Cause, ErrConflict)
	}
	// ALLOW is a decision, or every required control. Nothing else gets here,
	// and this line is what a reviewer needs to see (decision 25).
	if t.To == Allowed && t.From == Pending && len(r.missing()) > 0 {
		return fmt.Errorf("request: %s with controls missing: %w", f.Cause, ErrConflict)
	}
	if err := r.record(r.id, t.Record, f); err != nil {
		if !t.To.Final() {
			return r.unrecorded(t.Record, err)
		}
		r.enter(t.To, f)
		return fmt.Errorf("request: record %s: %w", t.Record, err)
	}
	if t.To == Pending {
		r.required = slices.Clone(f.Controls)
	}
	if t.By == Policy {
		r.paths, r.approvals = slices.Clone(f.Paths), slices.Clone(f.Approvals)
	}
	r.enter(t.To, f)
	if t.To == Pending {
		return r.remember(f)
	}
	return nil
}

// remember takes for satisfied what grants stand for, in the same step as the
// decision that asks for it: nobody sees a request pending that is not.
func (r *Request) remember(f Fact) error {
	for _, c := range f.Granted {
		if slices.Contains(r.required, c) && !slices.Contains(r.satisfied, c) {
			r.satisfied = append(r.satisfied, c)
		}
	}
	if len(r.missing()) > 0 {
		return nil
	}
	return r.apply(Fact{Cause: Remembered, By: core.ServicePrincipal(), Policies: f.Policies, Message: "grants stand for what policy asks for", Grants: f.Grants})
}

// Extend lets a request stay in a state until total has passed since it came to
// that, if it is in that state and its deadline is earlier.
func (r *Request) Extend(in State, total time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	wait, late := r.limits.deadline(in)
	if r.state != in || r.timer == nil || total <= wait || !r.timer.Stop() {
		return
	}
	r.timer = time.AfterFunc(max(0, time.Until(r.entered.Add(total))), func() { r.expire(in, late) })
}

// unrecorded fails a request whose next step could not be written. The failure
// is recorded if the journal works again by now.
func (r *Request) unrecorded(record string, err error) error {
	f := Fact{Cause: Fault, By: core.ServicePrincipal(), Message: "the journal cannot be written"}
	if t, ok := find(r.state, Fault); ok {
		r.enter(t.To, f)
		if again := r.record(r.id, t.Record, f); again != nil && again.Error() != err.Error() {
			return fmt.Errorf("request: record %s: %w; and %s: %w", record, err, t.Record, again)
		}
	}
	return fmt.Errorf("request: record %s: %w", record, err)
}

// enter changes the state, starts its deadline and tells who waits.
func (r *Request) enter(s State, f Fact) {
	if r.timer != nil {
		r.timer.Stop()
	}
	now := time.Now()
	if r.moved != nil {
		r.moved(Move{From: r.state, To: s, Cause: f.Cause, After: now.Sub(r.entered)})
	}
	r.state, r.last, r.entered = s, f, now
	close(r.changed)
	r.changed = make(chan struct{})
	wait, late := r.limits.deadline(s)
	if wait == 0 {
		r.timer = nil
		return
	}
	r.timer = time.AfterFunc(wait, func() { r.expire(s, late) })
}

// expire applies a deadline, unless the request has moved on. No state is
// entered twice, so that s says which deadline it was.
func (r *Request) expire(s State, late Fact) {
	r.mu.Lock()
	if r.state == s {
		// An error changes nothing: the deadline leads to a final state, which
		// is entered whether or not it can be recorded.
		_ = r.apply(late)
	}
	final := r.state.Final()
	r.mu.Unlock()
	if final {
		r.forget(r)
	}
}
