package control

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"kpm/core"
	"kpm/core/port"
	"kpm/core/wire"
	"kpm/launcher/mfa"
)

// maxCodes is how often a person is asked for one request, as sudo does.
const maxCodes = 3

// Memory is who was verified a short time ago. mfa.Memory does it.
type Memory interface {
	Remembered(place mfa.Place, policies []core.PolicyRef) bool
	Remember(place mfa.Place, policies []core.PolicyRef)
}

// MFA is MFA: the person shows again that it is them, by the first of Factors that
// knows them.
type MFA struct {
	Factors []mfa.Factor
	Memory  Memory
}

var _ Control = MFA{}

// Name implements Control.
func (MFA) Name() core.Control { return core.ControlMFA }

// Command implements Control.
func (MFA) Command() string { return "prompt-mfa" }

// Collect implements Control. Whoever was verified a short time ago, at the same
// terminal and for the same policies, is not asked. The code goes from the
// person's terminal to whoever verifies it, and nowhere else (decision 28a).
func (m MFA) Collect(ctx context.Context, q Question) (string, error) {
	if !q.Anew && m.Memory.Remembered(q.Place, q.Policies) {
		return "remembered from this terminal", nil
	}
	record, err := m.Verify(ctx, q)
	if err == nil && !q.Anew { // as with sudo -k COMMAND
		m.Memory.Remember(q.Place, q.Policies)
	}
	return record, err
}

// Verify asks for a factor, whatever is remembered, and returns what the journal
// keeps of it.
func (m MFA) Verify(ctx context.Context, q Question) (string, error) {
	caller := q.Subject.Caller
	factor, err := mfa.Chosen(m.Factors, caller)
	if err != nil {
		return "", unready(err, caller.Name)
	}
	if q.NonInteractive {
		return "", &Refused{Message: "policy asks for a code of your second factor, and -n forbids asking you for it: run it without -n"}
	}
	before := ""
	for try := 1; ; try++ {
		c := &conversation{q: q, before: before}
		record, err := factor.Verify(ctx, caller, q.Request, c)
		var wrong *mfa.Wrong
		switch {
		case err == nil:
			return record, nil
		case errors.Is(err, core.ErrCancelled):
			return "", &Refused{Message: "you entered no code"}
		case c.err != nil && errors.Is(err, context.DeadlineExceeded):
			return "", &Refused{Message: "no code was entered", Late: true}
		case c.err != nil && errors.Is(err, c.err):
			return "", err
		case !errors.As(err, &wrong):
			return "", unready(err, caller.Name)
		case wrong.Locked > 0 || wrong.Final || try == maxCodes:
			return "", &Refused{Message: wire.Printable(c.told + wrong.Message)}
		}
		before = "keepersudo: " + c.told + wrong.Message + ". "
	}
}

// conversation is the person who made a request, for one try of a factor.
type conversation struct {
	q      Question
	before string // said before the first question
	told   string // what the factor has told since it asked last
	asked  bool
	err    error // why nobody has answered
}

var _ port.Conversation = (*conversation)(nil)

// Ask implements port.Conversation. What the factor asks stands behind what it is
// asked for, at least once in each try.
func (c *conversation) Ask(ctx context.Context, text string, secret bool) ([]byte, error) {
	short := c.told + sentence(text)
	if !c.asked {
		short = strings.TrimPrefix(c.before, "keepersudo: ") + short
		text = c.before + "keepersudo: " + c.q.toDo() + c.q.What + c.q.Behind() + ", " + c.told + text
	} else {
		text = "keepersudo: " + c.told + text
	}
	c.asked, c.told = true, ""
	answer, err := c.q.Ask(ctx, Prompt{Text: wire.Printable(text), Short: wire.Printable(strings.TrimSpace(short)), Secret: secret})
	if err != nil {
		c.err = err
		return nil, err
	}
	return []byte(answer), nil
}

// sentence is text as it stands alone.
func sentence(text string) string {
	if text != "" && text[0] >= 'a' && text[0] <= 'z' {
		return strings.ToUpper(text[:1]) + text[1:]
	}
	return text
}

// Tell implements port.Conversation: it is shown with what comes next.
func (c *conversation) Tell(_ context.Context, text string) error {
	if c.told += text + ". "; len(c.told) > maxTold {
		c.told = strings.ToValidUTF8(c.told[:maxTold], "") + " ... "
	}
	return nil
}

// maxTold bounds what a factor may tell between two questions, in bytes.
const maxTold = 400

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
