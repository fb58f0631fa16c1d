//go:build linux

package linux

import (
	"context"
	"errors"
	"fmt"

	"kpm/core"
	"kpm/core/port"
	"kpm/platform/linux/pam"
)

// Authenticator asks PAM: what is in its file for us is what counts, faillock,
// directories and one-time passwords included.
type Authenticator struct{ pam *PAM }

var _ port.Authenticator = Authenticator{}

// NewAuthenticator returns an Authenticator. Closing p ends what it has started.
func NewAuthenticator(p *PAM) Authenticator { return Authenticator{p} }

// Authenticate implements port.Authenticator. What is entered travels by the
// connection to keeperpam, and is nobody's argument or environment.
func (a Authenticator) Authenticate(ctx context.Context, account core.Account, c port.Conversation) error {
	if err := a.pam.Missing(); err != nil {
		return fmt.Errorf("authenticate: %w", err)
	}
	if account.Name == "" { // PAM would ask for a name, and the person would choose it
		return fmt.Errorf("authenticate: user %s has no name: %w", account.User, core.ErrNoAccount)
	}
	process, err := a.pam.start(pam.Question{Kind: pam.Authenticate, User: account.Name})
	if err != nil {
		return fmt.Errorf("authenticate: %w", err)
	}
	defer process.Close()
	for {
		m, err := process.receive(ctx)
		switch {
		case err != nil:
		case m.Kind != pam.Done:
			err = relay(ctx, process, m, c)
		default:
			process.endWithin(discardTime)
			if err = outcomeOf(m); err == nil {
				return nil
			}
			return fmt.Errorf("authenticate %s: %w", account.Name, err)
		}
		if err != nil { // at once: who declines has not guessed wrong
			process.kill()
			return fmt.Errorf("authenticate %s: %w", account.Name, err)
		}
	}
}

// relay hands what a module says to the person, and their answer back.
func relay(ctx context.Context, process *pamProcess, m pam.Message, c port.Conversation) error {
	switch m.Kind {
	case pam.Info, pam.Fault:
		return c.Tell(ctx, m.Text)
	case pam.Prompt, pam.Secret:
		entered, err := c.Ask(ctx, m.Text, m.Kind == pam.Secret)
		if err != nil {
			return err
		}
		defer clear(entered)
		return pam.Send(process.conn, pam.Answer{Text: entered})
	}
	return fmt.Errorf("%s says %q, which is nothing that it may say", pam.Name, m.Kind)
}

// The outcomes that say something about the person or the account
// (security/_pam_types.h); every other is the machine's.
var (
	notAuthentic = map[int32]bool{6: true, 7: true, 8: true, 10: true, 11: true}
	refused      = map[int32]bool{12: true, 13: true, 16: true, 27: true}
)

// outcomeOf is the error of how PAM says that it came out. Usual configurations end
// in pam_deny, whose answer is the same for a secret and for an account; which it
// was about, the function says.
func outcomeOf(m pam.Message) error {
	switch {
	case m.Code == 0:
		return nil
	case refused[m.Code], m.Function == pam.Account && notAuthentic[m.Code]:
		return fmt.Errorf("%s: %w", m.Text, port.ErrAccountRefused)
	case notAuthentic[m.Code]:
		return fmt.Errorf("%s: %w", m.Text, port.ErrNotAuthentic)
	}
	return errors.New(m.Text)
}
