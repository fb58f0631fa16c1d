package launcher

import (
	"context"
	"errors"

	"kpm/core"
	"kpm/core/dialog"
)

// errNobodyElsewhere means that no other terminal is there at which the person is asked.
var errNobodyElsewhere = errors.New("nobody listens at another terminal")

// atTerminal asks whoever made a request at the terminal that it comes from or, if it
// comes from none, at another one of theirs at which keeperAgent waits for that.
//
// Attack: a coding agent has no terminal, and asks for what takes a code. What is asked
// elsewhere crosses none of its descriptors, and is not asked of what belongs to it.
func (l *Launcher) atTerminal(e *elevation, name core.Control) func(context.Context, Prompt) (string, error) {
	return func(ctx context.Context, p Prompt) (string, error) {
		if !e.submitted.Terminal && l.cfg.Elsewhere != nil {
			answer, err := l.elsewhere(ctx, e, name, p)
			if !errors.Is(err, errNobodyElsewhere) {
				return answer, err
			}
			l.note(e, func() { e.unasked = true })
		}
		return e.caller.Prompt(ctx, p, l.limits().Prompt)
	}
}

// elsewhere asks at another terminal, as a dialog does on a desktop: one question of a
// person at a time, and who gives no answer has denied.
func (l *Launcher) elsewhere(ctx context.Context, e *elevation, name core.Control, p Prompt) (string, error) {
	peer := e.submitted.Peer
	return l.shows(ctx, e, "user/"+string(peer.User), func(ctx context.Context) (dialog.Answer, error) {
		show, there := l.cfg.Elsewhere(peer)
		if !there {
			return dialog.Answer{}, errNobodyElsewhere
		}
		if err := e.caller.Tell("request " + e.id.Code() + ": answer the question that keeperAgent shows at another terminal of yours"); err != nil {
			return dialog.Answer{}, err
		}
		return show(ctx, dialog.Desktop{}, l.shown(e, name, p))
	})
}
