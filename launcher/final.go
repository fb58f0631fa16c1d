package launcher

import (
	"fmt"
	"strings"

	"kpm/core/door"
	"kpm/launcher/refusal"
	"kpm/launcher/request"
)

// final is what a caller whose request ran nothing is told.
func (l *Launcher) final(e *elevation, state request.State, last request.Fact) Result {
	if last.Cause == request.Granted {
		return l.accessGiven(e)
	}
	result := Result{Refused: l.explain(e, state, last)}
	if state == request.Denied && last.Cause == request.Refused {
		l.note(e, func() { result.Approval = e.approval })
	}
	if result.Approval != "" {
		result.Refused = refusal.New(door.CodeApprovalPending,
			"%s: %s. Run the same again once it is approved; keeperAgent --approval shows what is", e.called, last.Message)
	}
	return result
}

// explain words a final state for the caller, with the request's code: the
// journal has it under an id that begins with that.
func (l *Launcher) explain(e *elevation, state request.State, last request.Fact) *refusal.Refusal {
	why := l.words(e, state, last)
	if why.Code != door.CodeFailed { // which says the whole id
		why.Message += " (request " + e.id.Code() + ")"
	}
	return why
}

// words words a final state for the caller: which policy refused, and what
// the person can do. It never says why another policy did not match
// (CVE-2025-46718).
func (l *Launcher) words(e *elevation, state request.State, last request.Fact) *refusal.Refusal {
	path := e.called
	l.cfg.Log.Info("request ended", "request", e.id, "state", state, "cause", last.Cause, "message", last.Message)
	switch {
	case last.Cause == request.Deny && last.Message != "":
		// KeeperPolicy's own words name the policies and the way out.
		return refusal.New(door.CodeDenied, "%s: %s", path, last.Message)
	case last.Cause == request.Deny:
		return refusal.New(door.CodeDenied, "%s. Ask whoever writes the policies", deniedBy(last, path))
	case last.Cause == request.NoAnswer:
		return refusal.New(door.CodeDenied, "%s is denied: no decision came in time%s. Try again, and tell whoever runs the machine if it stays so", path, l.awaiting())
	case state == request.Denied:
		return refusal.New(door.CodeDenied, "%s is denied%s", path, said(last))
	case state == request.Expired:
		return refusal.New(door.CodeExpired, "%s was not allowed in time%s. Try again", path, said(last))
	}
	l.mu.Lock()
	exhausted := e.exhausted
	l.mu.Unlock()
	if exhausted {
		return refusal.New(door.CodeUnavailable, "%s %s%s", path, e.undone(), said(last))
	}
	if last.Detail == "" {
		return refusal.New(door.CodeFailed, "%s %s%s (request %s)", path, e.undone(), said(last), e.id)
	}
	return refusal.New(door.CodeFailed, "%s %s%s. The journal has more under request %s", path, e.undone(), said(last), e.id)
}

func deniedBy(last request.Fact, path string) string {
	if len(last.Policies) == 0 {
		return fmt.Sprintf("no policy allows %s", path)
	}
	names := make([]string, len(last.Policies))
	for i, p := range last.Policies {
		names[i] = fmt.Sprintf("%q", p.Name)
		if p.Name == "" {
			names[i] = fmt.Sprintf("%q", p.ID)
		}
	}
	return fmt.Sprintf("%s is denied by policy %s", path, strings.Join(names, ", "))
}

func said(last request.Fact) string {
	if last.Message == "" {
		return ""
	}
	return ": " + last.Message
}
