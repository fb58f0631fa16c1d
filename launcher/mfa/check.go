package mfa

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"kpm/core"
)

// maxWrong is how many wrong codes in a row lock a person out.
const maxWrong = 5

// Wrong means that a code was not accepted. Message says why, in words that the
// person may be told: never how near it was.
type Wrong struct {
	Message string
	// Locked is for how long no code of this person is looked at; 0 if they may
	// try another.
	Locked time.Duration
	// Final is true if trying another would be of no use.
	Final bool
}

// Error implements error.
func (w *Wrong) Error() string { return w.Message }

// Try is one answer to the question for a code.
type Try struct {
	User    core.UserID
	Request core.RequestID // for which it was asked; empty for none
	Answer  string
}

// Ready says whether a person's code can be asked for: ErrNotEnrolled, a *Wrong
// while they are locked out, or why nobody can be asked.
func (f *Factors) Ready(user core.UserID) error {
	if err := f.unusable(); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, err := f.store.get(user); err != nil {
		return err
	}
	return f.lockedOut(user)
}

// Check verifies an answer, and returns what the journal may say of it. The error
// is a *Wrong if it is not right, else why that cannot be told.
//
// Attack: a code is tried that somebody has seen, or all of them are tried. One is
// accepted once, and none before it; wrong ones are counted, on the disk, before
// anybody is told. So the tries of one person are bounded at any rate, also
// those that are made at once or beside a restart.
func (f *Factors) Check(ctx context.Context, t Try) (string, error) {
	if err := f.unusable(); err != nil {
		return "", err
	}
	before, err := f.store.get(t.User)
	if err != nil {
		return "", err
	}
	// Not under mu: a TPM takes its time, and others are not to wait.
	secret, err := f.cfg.Sealer.Unseal(ctx, before.Secret, sealedFor(t.User))
	if err != nil {
		return "", core.WithKind(core.Unavailable, fmt.Errorf("mfa: the secret cannot be read: %w", err))
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	r, err := f.store.get(t.User)
	if err != nil {
		return "", err
	}
	if err := f.lockedOut(t.User); err != nil {
		return "", err
	}
	if !bytes.Equal(r.Secret, before.Secret) {
		return "", &Wrong{Message: "you were enrolled anew meanwhile: use the new code"}
	}
	r.Locked = time.Time{} // over, or lockedOut would have said so
	return f.judge(r, secret, t)
}

// judge decides about one answer. f.mu is held.
func (f *Factors) judge(r record, secret []byte, t Try) (string, error) {
	entered := parse(t.Answer)
	step, known := match(secret, entered.code, time.Now())
	rest, recovery := without(r.Recovery, r.UserID, entered.recovery)
	switch {
	case known && step > r.Step:
		r.Step, r.Wrong = step, 0
		return f.accept(r, t, "code")
	case recovery:
		r.Recovery, r.Wrong = rest, 0
		return f.accept(r, t, fmt.Sprintf("recovery code, %d left", len(rest)))
	}
	wrong, cause := &Wrong{Message: "the code is wrong"}, "wrong"
	if known {
		wrong.Message, cause = "this code was used already: wait for the next one", "replayed"
	}
	if r.Wrong++; r.Wrong >= maxWrong {
		r.Wrong, r.Locked = 0, time.Now().UTC()
		f.locked[r.UserID] = time.Now().Add(f.cfg.LockOut)
		f.ForgetUser(r.UserID) // somebody else may be typing
	}
	// What cannot be counted is not answered either: nobody learns whether it
	// was right.
	if err := f.write(r, cause, core.ServicePrincipal(), t.Request, ""); err != nil {
		return "", err
	}
	if r.Locked.IsZero() {
		return "", wrong
	}
	message := fmt.Sprintf("%d wrong codes in a row: locked out for %s", maxWrong, f.cfg.LockOut)
	if err := f.journalled(r, "locked", core.ServicePrincipal(), t.Request, message); err != nil {
		f.cfg.Log.Error("a lock-out is not recorded", "user", r.User, "error", err)
	}
	return "", f.lockedOut(r.UserID)
}

// accept uses a code up, and then records it. f.mu is held.
func (f *Factors) accept(r record, t Try, said string) (string, error) {
	if err := f.store.put(r); err != nil {
		return "", core.WithKind(core.Unavailable, err)
	}
	if err := f.journalled(r, "right", core.ServicePrincipal(), t.Request, said); err != nil {
		return "", err
	}
	return said, nil
}

// lockedOut is a *Wrong while a person is locked out. f.mu is held.
func (f *Factors) lockedOut(user core.UserID) error {
	left := f.lockedFor(user)
	if left == 0 {
		return nil
	}
	minutes := int((left + time.Minute - 1) / time.Minute)
	return &Wrong{Locked: left, Message: fmt.Sprintf("too many wrong codes, none is looked at for another %d min; whoever manages this machine can enrol you anew", minutes)}
}

// lockedFor is for how long still a person is locked out. f.mu is held.
func (f *Factors) lockedFor(user core.UserID) time.Duration {
	until, is := f.locked[user]
	if !is {
		return 0
	}
	left := time.Until(until)
	if left <= 0 {
		delete(f.locked, user)
		return 0
	}
	return left
}
