package launcher

import (
	"context"
	"fmt"

	"kpm/core"
	"kpm/core/door"
	"kpm/core/signal"
	"kpm/core/wire"
	"kpm/launcher/approval"
	"kpm/launcher/refusal"
)

// Approvals are what callers wait for. approval.Book is one.
type Approvals interface {
	// For returns the approval that is there for w.
	For(w *approval.Want) (approval.Record, bool)
	// Get returns an approval.
	Get(id string) (approval.Record, error)
	// Wait returns an approval once nobody has to decide on it any more, or ctx's
	// error.
	Wait(ctx context.Context, id string) (approval.Record, error)
	// Whom says who can decide on w.
	Whom(w *approval.Want) string
	// Withdraw takes back what its requester does not want any more.
	Withdraw(id string, user core.UserID) (approval.Record, error)
}

// await waits with a caller until their approvers have decided. A caller who
// interrupts, or goes, does not want it any more; a service that stops leaves it to the
// next one.
//
// The request has ended: nothing is held meanwhile but the caller's connection, which
// is bounded for each person. What is run in the end is sealed afresh.
func (l *Launcher) await(ctx context.Context, submitted *Submission, id string, c Caller, signals <-chan signal.Sent) Result {
	by, call := "", ""
	if r, err := l.cfg.Approvals.Get(id); err == nil {
		by, call = " by "+l.cfg.Approvals.Whom(&r.Want), l.byTelephone(&r)
	}
	if err := c.Tell(fmt.Sprintf("waiting for approval %s%s; Ctrl-C withdraws the request%s", id, by, call)); err != nil {
		l.cfg.Log.Debug("a caller who waits for approval", "approval", id, "error", err)
	}
	waiting, stop := context.WithCancel(ctx)
	defer stop()
	type news struct {
		approval.Record
		err error
	}
	heard := make(chan news, 1)
	go func() {
		r, err := l.cfg.Approvals.Wait(waiting, id)
		heard <- news{r, err}
	}()
	for {
		select {
		case n := <-heard:
			switch {
			case n.err != nil && l.isClosed():
				return Result{Later: true}
			case n.err != nil && ctx.Err() != nil:
				return l.withdraw(submitted, id, "the caller has gone")
			case n.err != nil:
				return Result{Refused: refusal.New(door.CodeFailed, "approval %s is not there any more: ask again", id)}
			}
			return l.decided(n.Record, c)
		case sig := <-signals:
			if sig.Signal != signal.Continue && sig.Signal != signal.Suspend && sig.Signal != signal.Winch {
				return l.withdraw(submitted, id, "interrupted")
			}
		case <-l.detach:
			return Result{Later: true}
		}
	}
}

// byTelephone says how r is approved by a code, if it can be.
func (l *Launcher) byTelephone(r *approval.Record) string {
	if l.cfg.Challenge == nil {
		return ""
	}
	challenge := l.cfg.Challenge(r)
	if challenge == "" {
		return ""
	}
	return fmt.Sprintf(". By telephone: read %s to the help desk, and type their code: keeperAgent --approve-code %s", challenge, r.ID)
}

// withdraw takes an approval back on behalf of whoever asked.
func (l *Launcher) withdraw(submitted *Submission, id, why string) Result {
	if _, err := l.cfg.Approvals.Withdraw(id, submitted.Peer.User); err != nil && core.KindOf(err) != core.Conflict {
		l.cfg.Log.Warn("an approval cannot be withdrawn", "approval", id, "error", err)
	}
	return Result{Refused: refusal.New(door.CodeDenied, "approval %s is withdrawn: %s", id, why)}
}

// decided tells the caller what their approvers have said.
func (l *Launcher) decided(r approval.Record, c Caller) Result {
	by := ""
	if n := len(r.Decisions); n > 0 {
		if by = " by " + r.Decisions[n-1].Name; r.Decisions[n-1].Comment != "" {
			by += ": " + r.Decisions[n-1].Comment
		}
	}
	switch r.State {
	case approval.Expired:
		return Result{Refused: refusal.New(door.CodeExpired, "approval %s has expired: nobody has decided in time", r.ID)}
	case approval.Approved:
		if err := c.Tell(wire.Printable(fmt.Sprintf("approval %s is given%s", r.ID, by))); err != nil {
			l.cfg.Log.Debug("a caller whose request is approved", "approval", r.ID, "error", err)
		}
		return Result{Again: true}
	case approval.Used: // by another request that was the same
		if r.Want.Kind == approval.FileAccess { // or by the job that gives what was approved
			return Result{Again: true}
		}
		return Result{Refused: refusal.New(door.CodeDenied, "approval %s has been used by another request of yours: ask again", r.ID)}
	}
	return Result{Refused: refusal.New(door.CodeDenied, "approval %s is %s%s", r.ID, r.State, by)}
}
