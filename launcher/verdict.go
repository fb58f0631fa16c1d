package launcher

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"kpm/core"
	"kpm/core/wire"
	"kpm/launcher/approval"
	"kpm/launcher/refusal"
	"kpm/launcher/seal"
)

// verdict is what policy says about one command, as keepersudo -l --json COMMAND has it.
type verdict struct {
	User     string           `json:"user"`
	Machine  string           `json:"machine"`
	Target   string           `json:"target"`
	Path     string           `json:"path"`
	Argv     []string         `json:"argv"`
	Decision core.Outcome     `json:"decision"`
	Controls []core.Control   `json:"controls"`
	Policies []core.PolicyRef `json:"policies"`
	Message  string           `json:"message,omitempty"`
	// Satisfiable is false if it asks for what nothing here verifies.
	Satisfiable bool `json:"satisfiable"`
	// Whom says in words who can approve; empty if nobody has to.
	Whom string `json:"whom,omitempty"`
}

// verdict tells the caller what policy says about the command that is sealed in s. It is
// the question that running it would be, and nothing is opened by it or moves: what
// was told is worth nothing to whoever then asks to run it.
//
// Attack: a user has every command of the machine decided on, at once. It takes the
// place of a listing, and is charged as a request.
func (l *Launcher) verdict(ctx context.Context, submitted *Submission, s *seal.Sealed) Result {
	ctx, cancel := context.WithTimeout(ctx, l.limits().Evaluate)
	defer cancel()
	slot, refused := l.listingPlace(ctx, submitted)
	if refused != nil {
		return Result{Refused: refused}
	}
	defer slot.Release()
	a, err := l.Consult(ctx, l.questionAbout(s.Subject, l.behind(submitted)))
	if err != nil {
		l.cfg.Log.Warn("the policy plugin cannot be asked about a command", "error", err)
		return Result{Refused: unlisted("")}
	}
	v := verdict{
		User: s.Subject.Caller.Name, Machine: l.cfg.Machine(), Target: s.Subject.Target.Name, Path: s.Subject.Executable.Path, Argv: wire.Shown(s.Subject.Argv),
		Decision: a.Decision, Controls: append([]core.Control{}, a.Controls...), Policies: append([]core.PolicyRef{}, a.Policies...),
		Message: wire.Printable(a.Message), Satisfiable: len(l.unverified(a.Controls)) == 0,
	}
	if len(a.Approvals) > 0 && l.cfg.Approvals != nil {
		v.Whom = l.cfg.Approvals.Whom(&approval.Want{User: s.Subject.Caller.User, Name: v.User, Login: submitted.Peer.Login, Rules: a.Approvals})
	}
	text := l.inWordsOf(&v)
	if submitted.JSON {
		data, err := json.Marshal(v)
		if text = string(data) + "\n"; err != nil {
			return Result{Refused: refusal.Of(err)}
		}
	}
	if len(text) > maxListing {
		return Result{Refused: unlisted("There is more than can be shown.")}
	}
	return Result{Listing: text, Denied: v.Decision != core.Allow && v.Decision != core.Pending}
}

func (l *Launcher) inWordsOf(v *verdict) string {
	command := wire.PrintableLine(wire.Quoted(l.cfg.Facts.Platform, append([]string{v.Path}, v.Argv[1:]...)))
	var b strings.Builder
	say := func(format string, args ...any) { b.WriteString(wire.Printable(fmt.Sprintf(format, args...)) + "\n") }
	switch v.Decision {
	case core.Allow:
		say("%s as %s: allowed", command, v.Target)
	case core.Pending:
		say("%s as %s: allowed, and asks for: %s", command, v.Target, l.asks(v.Controls))
		if v.Whom != "" {
			say("  approved by: %s", v.Whom)
		}
	default:
		say("%s as %s: refused", command, v.Target)
	}
	if v.Message != "" {
		say("  %s", v.Message)
	}
	for _, p := range v.Policies {
		name := p.Name
		if name == "" {
			name = p.ID
		}
		say("  by policy: %s", name)
	}
	return b.String()
}
