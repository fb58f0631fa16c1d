package launcher

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"kpm/core"
	"kpm/core/door"
	"kpm/core/signal"
	"kpm/core/wire"
	"kpm/launcher/journal"
	"kpm/launcher/refusal"
	"kpm/launcher/request"
	"kpm/launcher/seal"
)

// elevation is one request while its caller waits.
type elevation struct {
	id        core.RequestID
	req       *request.Request
	begun     time.Time    // the question
	submitted *Submission  // nil for a command that an earlier service has launched
	sealed    *seal.Sealed // the same
	caller    Caller       // the same
	called    string       // what the program is called to its caller
	person    core.UserID  // whose leftovers are counted

	share     *share        // of what is bounded
	answered  func()        // says that policy has decided, or will not
	answering sync.Mutex    // one answer of policy at a time
	lodging   sync.Mutex    // one account at a time
	prompting sync.Mutex    // one question at a time
	started   chan started  // from Launch, at most one
	again     chan struct{} // the policy plugin is back, or will not be: ask

	insteadOf *redirection // what a rule has launched in its place; nil for what somebody asks for

	unreleased bool // an earlier service ended before it let the command run

	origin core.Origin // who is behind it
	file   bool        // access to a file is asked for, and nothing would run

	// Under Launcher.mu.
	remembering *remembering         // what may be remembered of what policy asks for
	notes       []core.Notice        // that the person is to be told
	unheard     bool                 // the question waits, or may have been lost, and is to be asked again
	asked       time.Time            // when it was asked last; zero if it was not
	exhausted   bool                 // it was not launched because the machine is out of something
	stuck       core.ProcessID       // a child that has run nothing and does not end
	reason      string               // that the person has given, once it is recorded
	longest     time.Duration        // that policy lets access to a file last; 0 if it does not say
	access      string               // that was given to a file, in words
	approval    string               // that it waits for; empty if it waits for none
	children    string               // rule for what it starts, as policy has it
	satisfied   []core.Control       // that policy has asked for
	unseen      string               // why nobody was asked on the desktop; empty if somebody could be
	unasked     bool                 // nobody could be asked at another terminal either
	account     *core.TransientTerms // policy has it run as an account that is made for it
	as          core.Account         // that account, once there is one
	session     string               // policy has it run as whoever asks, there
	leaveAs     func()               // removes it
	where       *inSession           // it runs in a session of whoever asked, as them
}

// fact is a Fact by the service.
func fact(cause request.Cause, message string) request.Fact {
	return request.Fact{Cause: cause, By: core.ServicePrincipal(), Message: message}
}

// Elevate takes one submission from beginning to end and returns its one final
// answer. It closes what it was given. When ctx ends the caller is gone: what
// has not been launched is denied, what runs is ended. The door lets pass only
// signals that a caller may send.
//
// A request that waits for approvers ends (decision 31). A caller who waits all the
// same is told when they have decided, and asks again.
func (l *Launcher) Elevate(ctx context.Context, submitted Submission, c Caller, signals <-chan signal.Sent) Result {
	result := l.elevate(ctx, submitted, c, signals)
	l.stats.answered(result)
	return result
}

func (l *Launcher) elevate(ctx context.Context, submitted Submission, c Caller, signals <-chan signal.Sent) Result {
	begun := time.Now()
	defer l.shut(&submitted)
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return Result{Later: true}
	}
	l.elevations.Add(1)
	l.mu.Unlock()
	defer l.elevations.Done()

	if result, over := l.rejoin(ctx, &submitted, c, signals); over {
		return result
	}
	defer l.leaves(submitted.journalled())
	if submitted.Memory != nil && submitted.Memory.Do != door.Validate {
		return l.forgetVerified(submitted)
	}
	result := l.attempt(ctx, &submitted, c, signals, begun)
	if result.Approval == "" || submitted.NoWait {
		return result
	}
	return l.await(ctx, &submitted, result.Approval, c, signals)
}

// attempt takes one request, which has begun, from its seal to its end. It closes
// what was submitted.
func (l *Launcher) attempt(ctx context.Context, submitted *Submission, c Caller, signals <-chan signal.Sent, begun time.Time) Result {
	if refused := l.undecidable(); refused != nil {
		return Result{Refused: refused}
	}
	l.free()
	mine, err := l.admit(ctx, submitted.Peer.Payer())
	if err != nil {
		return Result{Refused: refusal.Of(err)}
	}
	var e *elevation
	defer func() {
		l.shut(submitted) // first: it may take long, and counts as long
		l.leave(e, mine.release)
	}()
	switch {
	case submitted.List && submitted.Command == "":
		return l.list(ctx, *submitted)
	case submitted.Memory != nil:
		return l.validate(ctx, *submitted, c)
	}
	s, err := l.seal(ctx, submitted)
	if err != nil {
		l.cfg.Log.Info("not sealed", "user", submitted.Peer.User, "command", wire.Printable(submitted.Command), "error", err)
		if core.OutOfResources(err) { // whoever runs the machine is to know
			l.mention(submitted.Peer.Payer(), core.ResourceFault(err))
		}
		return Result{Refused: refusal.Of(err)}
	}
	defer s.Close()
	if err := l.charge(ctx, submitted.Peer.Payer(), s.Subject, recordBytes(s.Subject)); err != nil {
		return Result{Refused: refusal.Of(err)}
	}
	if submitted.List {
		return l.verdict(ctx, submitted, s)
	}
	evaluate := l.limits().Evaluate
	waiting, cancel := context.WithTimeout(ctx, evaluate)
	asked, err := l.asked.Take(waiting, l.cfg.People.Of(submitted.Peer.Payer()), min(int64(questionBytes(s.Subject)), maxUserAsked)) // the longest passes alone
	cancel()
	if err != nil {
		text := fmt.Sprintf("the long command lines that are being decided on were not within %s", evaluate)
		l.mention(submitted.Peer.Payer(), text)
		return Result{Refused: refusal.New(door.CodeUnavailable, "%s: try again in a moment", text)}
	}
	defer asked.Release()
	if there, held := l.held(submitted, s); held {
		return Result{Listing: there}
	}
	if e, err = l.open(submitted, s, c, nil); err != nil {
		l.cfg.Log.Error("request refused", "user", submitted.Peer.User, "error", err)
		return Result{Refused: refusal.New(door.CodeUnavailable, "the service cannot take requests now: tell whoever runs the machine")}
	}
	e.answered, e.share, e.begun = asked.Release, mine, begun
	l.stats.took(PhaseSeal, time.Since(begun))
	l.cfg.Log.Info("request opened", "request", e.id, "user", s.Subject.Caller.Name, "program", s.Subject.Executable.Path)
	defer l.forget(e)
	return l.follow(ctx, e, signals)
}

// open journals the request and makes it known. of is set if a rule has it launched in
// place of that one.
func (l *Launcher) open(submitted *Submission, s *seal.Sealed, c Caller, of *elevation) (*elevation, error) {
	e := &elevation{
		id: core.NewRequestID(), submitted: submitted, sealed: s, caller: c, called: s.Subject.Called(), person: l.cfg.People.Of(s.Subject.Caller.User),
		started: make(chan started, 1), again: make(chan struct{}, 1), file: submitted.FileAccess,
	}
	e.origin = l.behind(submitted)
	insteadOf := core.RequestID("")
	if of != nil {
		e.insteadOf, insteadOf = &redirection{of: of}, of.id
	}
	err := l.cfg.Journal.Append(journal.Record{
		Type: journal.Opened, Request: e.id, Origin: known(e.origin),
		UserID: s.Subject.Caller.User, User: s.Subject.Caller.Name, TargetID: s.Subject.Target.User, Target: s.Subject.Target.Name,
		Program: &s.Subject.Executable, Argv: wire.Shown(s.Subject.Argv), ArgvBytes: wire.Bytes(s.Subject.Argv), Directory: s.Subject.Dir, Seal: s.Digest, InsteadOf: insteadOf, Caller: submitted.journalled(),
	})
	if err != nil {
		return nil, err
	}
	if of == nil {
		e.req = l.store.Open(e.id)
	} else {
		e.req = l.store.OpenSubstitute(e.id)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.active[e.id] = e
	return e, nil
}

// forget lets go of a request. One that is still open, which no path leads to,
// fails: nothing stays behind that could be launched. A command that runs is the
// next service's.
func (l *Launcher) forget(e *elevation) {
	if state, _, _ := e.req.View(); state == request.Running && l.isClosed() {
		l.cfg.Log.Info("a command goes on", "request", e.id)
	} else if err := e.req.Apply(fact(request.Fault, "abandoned")); err == nil {
		l.cfg.Log.Error("request abandoned", "request", e.id)
	}
	l.moveOut(e)
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.active, e.id)
}

// maxEarly bounds the signals that are kept for a command about to start.
const maxEarly = 32

// follow moves the request as far as the service itself may, and waits for
// what policy, jobs and the caller do.
func (l *Launcher) follow(ctx context.Context, e *elevation, signals <-chan signal.Sent) Result {
	l.apply(e, fact(request.Asked, ""))
	l.ask(e)
	if l.isClosed() { // Close may have looked before this request was known
		l.apply(e, fact(request.Fault, "the service is stopping"))
	}
	var raised request.State
	var early []signal.Sent
	gone := ctx.Done()
	for {
		state, last, changed := e.req.View()
		if state == request.Failed && l.isClosed() {
			return Result{Later: true}
		}
		if state.Final() {
			l.tell(ctx, e, state)
			l.report(e, state)
			return l.final(e, state, last)
		}
		if (state == request.Pending || state == request.Allowed) && state != raised {
			e.answered()
			if raised = state; state == request.Pending {
				e.share.decided()
				l.quota.Spend(l.cfg.People.Of(e.submitted.Peer.Payer()), controlCost)
			}
			l.tell(ctx, e, state)
			l.give(e, last)
			l.raise(e, state, last)
		}
		select {
		case <-changed:
		case <-e.again:
			l.ask(e)
		case p := <-e.started:
			l.stats.took(PhaseTotal, time.Since(e.begun))
			l.report(e, request.Running)
			e.share.runs()
			l.announce(e.id, e.caller)
			for _, sig := range early {
				l.forward(e, p, sig)
			}
			return l.attend(ctx, e, p, signals)
		case sig := <-signals:
			// Only here is it known whether the command runs by now: the caller
			// cannot tell, and a signal must not be lost between the two.
			if sig.Signal == signal.Continue || sig.Signal == signal.Suspend || len(early) == maxEarly {
				continue
			}
			early = append(early, sig) // in Launching: it is the command's
			l.apply(e, fact(request.CallerGone, "interrupted"))
		case <-gone:
			gone = nil // in Launching: it fails, or attend sees that ctx is done
			l.apply(e, fact(request.CallerGone, "the caller has gone"))
		}
	}
}

func (l *Launcher) isClosed() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.closed
}

// apply applies a fact that may come too late.
func (l *Launcher) apply(e *elevation, f request.Fact) {
	switch err := e.req.Apply(f); {
	case errors.Is(err, request.ErrConflict):
		l.cfg.Log.Debug("fact without effect", "request", e.id, "cause", f.Cause, "error", err)
	case err != nil:
		l.cfg.Log.Error("request moved without a record", "request", e.id, "cause", f.Cause, "error", err)
	}
}

// ask puts the question to KeeperPolicy, when that is there: a question that is
// published to nobody is lost. That it will not be there is a fault; that it
// does not answer ends by the deadline.
func (l *Launcher) ask(e *elevation) {
	if state, _, _ := e.req.View(); state != request.Evaluating {
		return
	}
	switch now, err := l.mayAsk(e); {
	case err != nil:
		f := fact(request.Fault, err.Error())
		f.In = request.Evaluating
		l.apply(e, f)
		return
	case !now:
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), l.limits().Evaluate)
	defer cancel()
	err := l.cfg.Bus.Ask(ctx, l.policyQuestion(e))
	switch {
	case core.KindOf(err) == core.Unavailable:
		// Its connection is cut, since it does not keep up. When it is back it is
		// asked again.
		l.cfg.Log.Warn("the policy plugin missed a question", "request", e.id, "error", err)
	case err != nil:
		l.cfg.Log.Error("policy cannot be asked", "request", e.id, "error", err)
		l.apply(e, because(request.Evaluating, "the policy plugin cannot be asked", err))
	}
}

// because is a fault in a state, with what only the journal says of it.
func because(in request.State, message string, err error) request.Fact {
	f := fact(request.Fault, message)
	f.In = in
	if err != nil {
		f.Detail = err.Error()
	}
	return f
}

// maxCommandLine is the longest command line that events have as one text, in
// bytes. Arguments, which are always there, leave no more room in a message.
const maxCommandLine = 32 << 10

// raise wakes the job that the state is waiting for. The event is no evidence:
// the job's steps are checked against the state (decision 25).
func (l *Launcher) raise(e *elevation, state request.State, last request.Fact) {
	s := e.sealed.Subject
	event := wire.Event{Name: e.launchEvent(), Context: map[string]any{
		"RequestId": string(e.id), "EventType": e.eventType(), "UserName": s.Caller.Name,
		"FilePath": s.Executable.Path, "Arguments": wire.Shown(s.Argv),
		"TargetUser": s.Target.Name, "SessionId": string(l.session(e)),
		"RequestedBy": string(e.origin.By), "Agent": e.origin.Agent,
		"RespondToTopic": wire.ReplyTopic(core.ServicePrincipal(), string(e.id)),
	}}
	// What is left out a task finds missing; what is cut short it would believe.
	if line := wire.Quoted(l.cfg.Facts.Platform, wire.Shown(s.Argv)); len(line) <= maxCommandLine {
		event.Context["CommandLine"] = line
	}
	l.note(e, func() {
		if e.session != "" && state != request.Pending {
			event.Context["LaunchAs"] = e.session
		}
	})
	if state == request.Pending {
		event.Name = wire.EventPolicyEvaluationPending
		event.Context["ControlList"] = e.req.Missing()
		event.Context["AskOn"] = l.askOn(e)
	}
	ctx, cancel := context.WithTimeout(context.Background(), l.limits().Launch)
	defer cancel()
	if err := l.cfg.Bus.Raise(ctx, event); err != nil {
		l.cfg.Log.Error("event cannot be raised", "request", e.id, "event", event.Name, "error", err)
		l.apply(e, because(state, "the service could not start its next step", err))
	}
}
