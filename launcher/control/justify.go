package control

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"kpm/core"
	"kpm/core/wire"
)

// maxReason bounds a justification, in characters.
const maxReason = 1000

// Justify is JUSTIFY: the person gives a reason, which is recorded.
type Justify struct{}

var _ Control = Justify{}

// Name implements Control.
func (Justify) Name() core.Control { return core.ControlJustify }

// Command implements Control.
func (Justify) Command() string { return "prompt-justification" }

// Collect implements Control. A person who declines, cannot be asked, or gives
// no reason has refused.
func (Justify) Collect(ctx context.Context, q Question) (string, error) {
	if q.Given != "" {
		return q.Given, nil
	}
	reason, err := q.reason(ctx)
	switch {
	case errors.Is(err, core.ErrCancelled):
		return "", &Refused{Message: "you gave no reason"}
	case errors.Is(err, context.DeadlineExceeded):
		return "", &Refused{Message: "no reason was given", Late: true}
	case errors.Is(err, errUnasked):
		return "", &Refused{Message: "policy asks for a reason, and -n forbids asking you for it: run it without -n, or give it with --reason"}
	case err != nil:
		return "", err
	}
	reason = wire.Printable(strings.TrimSpace(reason))
	switch {
	case !strings.ContainsFunc(reason, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }):
		return "", &Refused{Message: "you gave no reason"}
	case utf8.RuneCountInString(reason) > maxReason:
		return "", &Refused{Message: fmt.Sprintf("your reason is longer than %d characters", maxReason)}
	}
	return reason, nil
}

// errUnasked is why nobody was asked.
var errUnasked = errors.New("nobody may be asked")

// reason is what the person says: with the request, or when they are asked.
func (q *Question) reason(ctx context.Context) (string, error) {
	switch {
	case q.Offered != "":
		return q.Offered, nil
	case q.NonInteractive:
		return "", errUnasked
	}
	return q.Ask(ctx, Prompt{Text: wire.Printable("Reason for " + q.doing() + q.What + q.Behind() + ": "), Short: "Why do you need it?"})
}
