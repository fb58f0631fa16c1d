//go:build linux || darwin

package askpam

import (
	"context"
	"errors"
	"fmt"

	"kpm/core"
	"kpm/core/port"
	"kpm/platform/unix/pam"
)

var _ port.Authenticator = (*PAM)(nil)

// Authenticate implements port.Authenticator: what is in PAM's file for us is what
// counts, locking, directories and one-time passwords included. What is entered
// travels by the connection to keeperpam, and is nobody's argument or environment.
func (p *PAM) Authenticate(ctx context.Context, account core.Account, c port.Conversation) error {
	if err := p.Missing(); err != nil {
		return fmt.Errorf("authenticate: %w", err)
	}
	if account.Name == "" { // PAM would ask for a name, and the person would choose it
		return fmt.Errorf("authenticate: user %s has no name: %w", account.User, core.ErrNoAccount)
	}
	process, err := p.Ask(pam.Question{Kind: pam.Authenticate, User: account.Name})
	if err != nil {
		return fmt.Errorf("authenticate: %w", err)
	}
	defer process.Close()
	for {
		m, err := process.Receive(ctx)
		switch {
		case err != nil:
		case m.Kind != pam.Done:
			err = relay(ctx, process, m, c)
		default:
			process.End()
			if err = Outcome(m); err == nil {
				return nil
			}
			return fmt.Errorf("authenticate %s: %w", account.Name, err)
		}
		if err != nil { // at once: who declines has not guessed wrong
			process.child.Kill()
			return fmt.Errorf("authenticate %s: %w", account.Name, err)
		}
	}
}

// relay hands what a module says to the person, and their answer back.
func relay(ctx context.Context, process *Process, m pam.Message, c port.Conversation) error {
	switch m.Kind {
	case pam.Info, pam.Fault:
		return c.Tell(ctx, m.Text)
	case pam.Prompt, pam.Secret:
		entered, err := c.Ask(ctx, m.Text, m.Kind == pam.Secret)
		if err != nil {
			return err
		}
		defer clear(entered)
		return process.Answer(pam.Answer{Text: entered})
	}
	return fmt.Errorf("%s says %q, which is nothing that it may say", pam.Name, m.Kind)
}

// Outcome is the error of how PAM says that it came out.
func Outcome(m pam.Message) error { return outcome(m, pam.Here) }

// outcome reads what PAM says by its numbers. Usual configurations end in pam_deny,
// whose answer is the same for a secret and for an account; which it was about, the
// function says.
func outcome(m pam.Message, n pam.Numbers) error {
	switch {
	case m.Code == 0:
		return nil
	case n.MayNot(m.Code), m.Function == pam.Account && n.Wrong(m.Code):
		return fmt.Errorf("%s: %w", m.Text, port.ErrAccountRefused)
	case n.Wrong(m.Code):
		return fmt.Errorf("%s: %w", m.Text, port.ErrNotAuthentic)
	}
	return errors.New(m.Text)
}
