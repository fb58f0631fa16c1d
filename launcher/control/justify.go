package control

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"kpm/core"
	"kpm/core/wire"
)

// maxReason bounds a justification, in characters.
const maxReason = 1000

// Justify is JUSTIFY: the person gives a reason, which is recorded.
type Justify struct {
	// Minimum is how many characters a reason in a person's own words has at least.
	Minimum int
	// Reasons are offered: a person chooses one by its number, or uses their own words.
	Reasons []string
}

var _ Control = Justify{}

// Name implements Control.
func (Justify) Name() core.Control { return core.ControlJustify }

// Command implements Control.
func (Justify) Command() string { return "prompt-justification" }

// Collect implements Control. A person who declines, cannot be asked, or gives
// no reason has refused.
func (j Justify) Collect(ctx context.Context, q Question) (string, error) {
	if q.Given != "" {
		return q.Given, nil
	}
	reason, err := j.reason(ctx, &q)
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
	if chosen, is := j.offered(reason); is {
		return chosen, nil
	}
	switch length := utf8.RuneCountInString(reason); {
	case !strings.ContainsFunc(reason, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }):
		return "", &Refused{Message: "you gave no reason"}
	case length < j.Minimum:
		return "", &Refused{Message: fmt.Sprintf("your reason is shorter than %d characters", j.Minimum)}
	case length > maxReason:
		return "", &Refused{Message: fmt.Sprintf("your reason is longer than %d characters", maxReason)}
	}
	return reason, nil
}

// errUnasked is why nobody was asked.
var errUnasked = errors.New("nobody may be asked")

// reason is what the person says: with the request, or when they are asked.
func (j Justify) reason(ctx context.Context, q *Question) (string, error) {
	switch {
	case q.Offered != "":
		return q.Offered, nil
	case q.NonInteractive:
		return "", errUnasked
	}
	hint := wire.Printable(j.hint())
	return q.Ask(ctx, Prompt{Text: wire.Printable("Reason for "+q.doing()+q.What+q.Behind()) + hint + ": ", Short: "Why do you need it?" + hint})
}

// hint says what counts as a reason; empty if that goes without saying.
func (j Justify) hint() string {
	var parts []string
	for i, reason := range j.Reasons {
		parts = append(parts, fmt.Sprintf("%d for %q", i+1, reason))
	}
	if own := "your own words"; j.Minimum > 1 {
		parts = append(parts, fmt.Sprintf("%s, at least %d characters", own, j.Minimum))
	} else if len(parts) > 0 {
		parts = append(parts, own)
	}
	if len(parts) == 0 {
		return ""
	}
	return " (" + strings.Join(parts, "; ") + ")"
}

// offered is the offered reason of that number.
func (j Justify) offered(number string) (string, bool) {
	n, err := strconv.Atoi(number)
	if err != nil || n < 1 || n > len(j.Reasons) {
		return "", false
	}
	return wire.Printable(j.Reasons[n-1]), true
}
