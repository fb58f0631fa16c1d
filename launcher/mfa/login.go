package mfa

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"kpm/core"
	"kpm/core/port"
	"kpm/launcher/journal"
	"kpm/launcher/tries"
)

// Login is what somebody logs in with, as a factor: the machine's own check (PAM)
// asks, and decides. It knows everybody who has an account.
type Login struct {
	Authenticator port.Authenticator
	Tries         *tries.Counter
	Journal       Journal
	// Memory forgets whoever was wrong too often.
	Memory *Memory
	Log    *slog.Logger
}

var _ Factor = Login{}

// ErrNoLogin means that the machine has no check of logins for this agent.
var ErrNoLogin = core.NewError(core.Unavailable, "logins cannot be checked now")

// Kind implements Factor.
func (Login) Kind() string { return KindLogin }

// Ready implements Factor.
func (l Login) Ready(person core.Account) error {
	if err := l.Tries.Err(); err != nil {
		return err
	}
	if left := l.Tries.Left(KindLogin, person.User); left > 0 {
		return lockedLogin(left)
	}
	return nil
}

func lockedLogin(left time.Duration) *Wrong {
	return &Wrong{Locked: left, Message: (&tries.Locked{Left: left}).Error()}
}

// Verify implements Factor.
//
// Attack: passwords are guessed by many commands at once, or beside a restart, and
// faillock is not set up. An answer is counted as wrong, on the disk, before PAM has
// it; five without a right one lock the person out.
func (l Login) Verify(ctx context.Context, person core.Account, request core.RequestID, c port.Conversation) (string, error) {
	asking := &loginConversation{Conversation: c, take: func() error {
		locks, err := l.Tries.Take(KindLogin, person.User)
		if locks {
			l.Memory.ForgetUser(person.User) // somebody else may be typing
		}
		var locked *tries.Locked
		if errors.As(err, &locked) {
			return lockedLogin(locked.Left)
		}
		return err
	}}
	err := l.Authenticator.Authenticate(ctx, person, asking)
	var wrong *Wrong
	switch {
	case err == nil:
		if err := l.Tries.Clear(KindLogin, person.User); err != nil {
			return "", err
		}
		return "login", l.journalled(person, request, "right", "login")
	case errors.As(err, &wrong):
		return "", wrong
	case errors.Is(err, port.ErrNotAuthentic):
		return "", l.wrong(person, request, "it is not what you log in with")
	case errors.Is(err, port.ErrAccountRefused):
		if err := l.journalled(person, request, "wrong", "the account may not be used now"); err != nil {
			return "", err
		}
		return "", &Wrong{Message: "your account may not be used now: tell whoever manages this machine", Final: true}
	case errors.Is(err, core.ErrCancelled), errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return "", err
	}
	return "", fmt.Errorf("mfa: %w: %w", ErrNoLogin, err)
}

// wrong records a wrong answer, and the lock-out that it leads to.
func (l Login) wrong(person core.Account, request core.RequestID, message string) error {
	if err := l.journalled(person, request, "wrong", "login"); err != nil {
		return err
	}
	left := l.Tries.Left(KindLogin, person.User)
	if left == 0 {
		return &Wrong{Message: message}
	}
	if err := l.journalled(person, request, "locked", fmt.Sprintf("%d wrong answers in a row", tries.Most)); err != nil {
		l.Log.Error("a lock-out is not recorded", "user", person.Name, "error", err)
	}
	return lockedLogin(left)
}

func (l Login) journalled(person core.Account, request core.RequestID, cause, message string) error {
	err := l.Journal.Append(journal.Record{
		Type: journal.Factor, Request: request, UserID: person.User, User: person.Name, Cause: cause, By: core.ServicePrincipal().String(), Message: message,
	})
	if err != nil {
		return core.WithKind(core.Unavailable, fmt.Errorf("mfa: %w", err))
	}
	return nil
}

// loginConversation counts a try when the first answer is about to be handed over. A
// module that asks for several things is one try.
type loginConversation struct {
	port.Conversation
	take  func() error
	taken bool
}

// Ask implements port.Conversation.
func (c *loginConversation) Ask(ctx context.Context, text string, secret bool) ([]byte, error) {
	if !c.taken {
		text = "log in again. " + text
	}
	answer, err := c.Conversation.Ask(ctx, text, secret)
	if err != nil || c.taken {
		return answer, err
	}
	c.taken = true
	if err := c.take(); err != nil {
		clear(answer)
		return nil, err
	}
	return answer, nil
}
