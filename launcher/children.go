package launcher

import (
	"context"
	"errors"
	"fmt"

	"kpm/core"
	"kpm/core/port"
	"kpm/core/wire"
	"kpm/launcher/execution"
	"kpm/launcher/journal"
)

// Children has what commands start decided about, right before it runs.
type Children interface {
	// Ready returns nil if it can; otherwise the error says why not and what to do.
	Ready() error
	// Enter has what a launch group starts decided about; with an error it is not.
	// Started says that the command itself runs, Leave that nothing of it is left.
	Enter(ctx context.Context, root core.ProcessID, group string, c execution.Command) error
	Started(root core.ProcessID)
	Leave(root core.ProcessID)
}

// inherit is the rule of policies that say nothing of children: only what policies
// deny is not started.
const inherit = "inherit"

var errUnstopped = errors.New("nothing stops programs before they run here")

// unruly says why a rule for children cannot be kept here; nil if it can, or if there
// is none. Attack: a policy lets a command start nothing, and nothing holds the command
// to that: so it is not run.
func (l *Launcher) unruly(rule string) error {
	switch {
	case rule == "":
		return nil
	case rule != wire.ChildrenOwnRule && rule != wire.ChildrenDenied:
		return errors.New("it is not known what it means")
	case l.cfg.Children == nil:
		return errUnstopped
	}
	return l.cfg.Children.Ready()
}

// stricter returns the stricter of two rules.
func stricter(a, b string) string {
	if a == wire.ChildrenDenied || b == "" {
		return a
	}
	return b
}

// rule has what the command of e starts decided about, before it runs. It returns what
// the journal is to say of that; nil where nothing is decided.
func (l *Launcher) rule(ctx context.Context, e *elevation, held port.Held) (*core.ChildTerms, error) {
	var rule string
	var satisfied []core.Control
	l.note(e, func() { rule, satisfied = e.children, e.satisfied })
	if err := l.unruly(rule); err != nil {
		return nil, fmt.Errorf("policy has a rule for what it starts (%s), which cannot be kept: %w", rule, err)
	}
	if l.cfg.Children == nil {
		return nil, nil
	}
	err := l.cfg.Children.Enter(ctx, held.ID(), held.Group(), execution.Command{
		Request: e.id, Question: l.policyQuestion(e), Satisfied: satisfied, Rule: rule, RuleOnly: e.insteadOf != nil,
	})
	switch {
	case err != nil && rule != "":
		return nil, fmt.Errorf("policy has a rule for what it starts (%s), which cannot be kept: %w", rule, err)
	case errors.Is(err, execution.ErrOff):
		return nil, nil
	case err != nil:
		l.cfg.Log.Warn("what a command starts is not decided about", "request", e.id, "error", err)
		return nil, nil
	}
	terms := &core.ChildTerms{Rule: inherit, UserID: e.sealed.Subject.Caller.User, User: e.sealed.Subject.Caller.Name, TargetID: e.sealed.Subject.Target.User, Target: e.sealed.Subject.Target.Name}
	if rule != "" {
		terms.Rule = rule
	}
	return terms, nil
}

// ruleAgain is rule for a command that an earlier service has started. What that was
// asked about it is not known any more.
func (l *Launcher) ruleAgain(open journal.Unfinished) {
	if l.cfg.Children == nil || open.Children == nil || open.Child == nil {
		return
	}
	c := execution.Command{Request: open.Request, RuleOnly: true, Runs: true, Question: wire.PolicyRequest{
		EventType: wire.EventPrivilegeElevation, UserID: open.Children.UserID, UserName: open.Children.User, GroupsUnknown: true,
		TargetUserID: open.Children.TargetID, TargetUser: open.Children.Target, TargetIsAdministrator: open.Children.TargetID == l.cfg.Facts.Administrator,
		MachineName: l.cfg.Machine(),
	}}
	if open.Children.Rule != inherit {
		c.Rule = open.Children.Rule
	}
	// It is entered when keeperexec runs.
	if err := l.cfg.Children.Enter(context.Background(), open.Child.ID(), open.Child.Group, c); err != nil {
		l.cfg.Log.Debug("what a command starts is not decided about yet", "request", open.Request, "error", err)
	}
}

// unregister forgets a launch group of which nothing is left.
func (l *Launcher) unregister(root core.ProcessID) {
	l.cfg.Registry.Remove(root)
	if l.cfg.Children != nil {
		l.cfg.Children.Leave(root)
	}
}
