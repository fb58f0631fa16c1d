package port

import (
	"context"
	"errors"

	"kpm/core"
)

// Authenticator has the machine itself check who somebody is, as its own login
// does. It is for asking again somebody who is logged in: an answer is worth what
// the machine's administrator has made it worth, and says nothing about who will
// sit there a moment later.
type Authenticator interface {
	// Authenticate asks, by c, for what account logs in with, once. nil means that
	// it was right and that the account may be used now. Errors wrap
	// ErrNotAuthentic, ErrAccountRefused, core.ErrCancelled if c declined, ctx's
	// error, or errors.ErrUnsupported where the machine has no such check or its
	// administrator has not set one up; every other error means no as well.
	Authenticate(ctx context.Context, account core.Account, c Conversation) error
}

// Conversation is a person, as the machine's own check speaks to them. Texts are as
// the machine has them: what shows them makes them safe to show. Methods return
// ctx's error if it ends first.
type Conversation interface {
	// Ask returns what was entered; secret keeps it from being shown. The error
	// wraps core.ErrCancelled if the person declined. What is returned is
	// overwritten when it has been used.
	Ask(ctx context.Context, text string, secret bool) ([]byte, error)
	// Tell shows a message.
	Tell(ctx context.Context, text string) error
}

// Errors of Authenticator.
var (
	// ErrNotAuthentic: what was entered is wrong, or it is not looked at because it
	// was wrong too often. Most systems do not say which.
	ErrNotAuthentic = errors.New("it is not what the account logs in with")
	// ErrAccountRefused: the account has expired, may not be used now, or must have
	// a new password first.
	ErrAccountRefused = errors.New("the account may not be used now")
)
