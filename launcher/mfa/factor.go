package mfa

import (
	"context"
	"fmt"

	"kpm/core"
	"kpm/core/port"
)

// Factor is one way in which somebody who is logged in shows again that it is them.
// Codes and Login are all that there are. A security key (FIDO2) is another
// implementation: its Verify would have the key sign a challenge of its own making,
// which no Conversation can carry, so that whoever builds it brings the way to the key
// along. Nothing else has to know.
type Factor interface {
	// Kind is its name in the setting Mfa:Factors, in listings and in the journal.
	Kind() string
	// Ready says whether the person can be asked: nil; ErrNotEnrolled if this factor
	// knows nothing of them, and another may serve; a *Wrong while they are locked
	// out; or why nobody can be asked.
	Ready(person core.Account) error
	// Verify has the person asked, once, and returns what the journal may say of it.
	// The error is a *Wrong if what they have entered is not right; that of c; or why
	// that cannot be told. What is wrong has been counted, on the disk, before Verify
	// returns.
	Verify(ctx context.Context, person core.Account, request core.RequestID, c port.Conversation) (record string, err error)
}

// Names of the factors.
const (
	KindCodes = "totp"
	KindLogin = "pam"
)

// Chosen returns the first of factors that knows person. One that knows them and
// cannot be asked serves no less: that somebody is locked out of the one is no way to
// the other. The error wraps ErrNotEnrolled if none does.
func Chosen(factors []Factor, person core.Account) (Factor, error) {
	for _, f := range factors {
		if err := f.Ready(person); !notEnrolled(err) {
			return f, err
		}
	}
	return nil, fmt.Errorf("mfa: %w", ErrNotEnrolled)
}

// Codes are time-based codes and recovery codes, as a factor.
type Codes struct{ *Factors }

var _ Factor = Codes{}

// Kind implements Factor.
func (Codes) Kind() string { return KindCodes }

// Ready implements Factor.
func (c Codes) Ready(person core.Account) error { return c.Factors.Ready(person.User) }

// Verify implements Factor.
func (c Codes) Verify(ctx context.Context, person core.Account, request core.RequestID, with port.Conversation) (string, error) {
	entered, err := with.Ask(ctx, "enter your code: ", true)
	if err != nil {
		return "", err
	}
	defer clear(entered)
	return c.Check(ctx, Try{User: person.User, Request: request, Answer: string(entered)})
}
