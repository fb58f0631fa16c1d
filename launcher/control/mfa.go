package control

import (
	"context"
	"errors"
	"fmt"

	"kpm/core"
	"kpm/core/wire"
	"kpm/launcher/mfa"
)

// maxCodes is how often a person is asked for one request, as sudo does.
const maxCodes = 3

// Factors verify codes, and remember who was verified. mfa.Factors does.
type Factors interface {
	Ready(user core.UserID) error
	Check(ctx context.Context, t mfa.Try) (record string, err error)
	Remembered(place mfa.Place, policies []core.PolicyRef) bool
	Remember(place mfa.Place, policies []core.PolicyRef)
}

// MFA is MFA: the person enters a code of their second factor, or a recovery code.
type MFA struct{ Factors Factors }

var _ Control = MFA{}

// Name implements Control.
func (MFA) Name() core.Control { return core.ControlMFA }

// Command implements Control.
func (MFA) Command() string { return "prompt-mfa" }

// Collect implements Control. Whoever was verified a short time ago, at the same
// terminal and for the same policies, is not asked. The code goes from the
// person's terminal to whoever verifies it, and nowhere else (decision 28a).
func (m MFA) Collect(ctx context.Context, q Question) (string, error) {
	if !q.Anew && m.Factors.Remembered(q.Place, q.Policies) {
		return "remembered from this terminal", nil
	}
	record, err := m.Verify(ctx, q)
	if err == nil && !q.Anew { // as with sudo -k COMMAND
		m.Factors.Remember(q.Place, q.Policies)
	}
	return record, err
}

// Verify asks for a code, whatever is remembered, and returns what the journal
// keeps of it.
func (m MFA) Verify(ctx context.Context, q Question) (string, error) {
	caller := q.Subject.Caller
	if err := m.Factors.Ready(caller.User); err != nil {
		return "", unready(err, caller.Name)
	}
	if q.NonInteractive {
		return "", &Refused{Message: "policy asks for a code of your second factor, and -n forbids asking you for it: run it without -n"}
	}
	before := ""
	for try := 1; ; try++ {
		answer, err := q.Ask(ctx, Prompt{Text: wire.Printable(before + "keepersudo: " + q.toDo() + q.What + q.Behind() + ", enter your code: "), Secret: true})
		switch {
		case errors.Is(err, core.ErrCancelled):
			return "", &Refused{Message: "you entered no code"}
		case errors.Is(err, context.DeadlineExceeded):
			return "", &Refused{Message: "no code was entered", Late: true}
		case err != nil:
			return "", err
		}
		record, err := m.Factors.Check(ctx, mfa.Try{User: caller.User, Request: q.Request, Answer: answer})
		var wrong *mfa.Wrong
		switch {
		case err == nil:
			return record, nil
		case !errors.As(err, &wrong):
			return "", unready(err, caller.Name)
		case wrong.Locked > 0 || try == maxCodes:
			return "", &Refused{Message: wrong.Message}
		}
		before = "keepersudo: " + wrong.Message + ". "
	}
}

// unready says why nobody is asked for a code, in words for the person. What they
// are not to know stays an error for the log.
func unready(err error, name string) error {
	var wrong *mfa.Wrong
	switch {
	case errors.As(err, &wrong):
		return &Refused{Message: wrong.Message}
	case errors.Is(err, mfa.ErrNotEnrolled):
		return &Refused{Message: wire.Printable(fmt.Sprintf("policy asks for a code, and you have no second factor on this machine. Ask an administrator to run: KeeperAdminCLI mfa enroll %s", name))}
	case core.KindOf(err) == core.Unavailable:
		return errors.Join(&Refused{Message: "your second factor cannot be verified now: tell whoever manages this machine"}, err)
	}
	return err
}
