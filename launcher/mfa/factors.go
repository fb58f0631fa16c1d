package mfa

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"kpm/core"
	"kpm/core/view"
	"kpm/launcher/journal"
)

// Errors of enrolment and of checks.
var (
	ErrNotEnrolled = core.NewError(core.NotFound, "no second factor is enrolled for this user")
	ErrEnrolled    = core.NewError(core.Conflict, "a second factor is enrolled for this user already; what replaces it ends the old one")
	ErrNotThere    = core.NewError(core.Unavailable, "second factors cannot be used now")
)

// Sealer is the machine key. What is sealed under a name can be read under that
// name alone.
type Sealer interface {
	Seal(ctx context.Context, secret, name []byte) ([]byte, error)
	Unseal(ctx context.Context, sealed, name []byte) ([]byte, error)
}

// Journal is where enrolments and checks are recorded, without any code.
type Journal interface{ Append(journal.Record) error }

// Config is what Factors work with. All fields are required.
type Config struct {
	// Path is the file that everything is kept in.
	Path    string
	Sealer  Sealer
	Journal Journal
	// Machine returns what this machine is called in authenticator programs.
	Machine func() string
	// LockOut is for how long a person is locked out, Remember for how long a
	// check is remembered; 0 remembers none.
	LockOut, Remember time.Duration
	Log               *slog.Logger
}

// Factors are those of all people. Their methods may be called concurrently.
type Factors struct {
	*Memory
	cfg     Config
	store   *store // nil if it cannot be opened
	broken  error  // why
	tickets tickets

	mu     sync.Mutex // one change at a time
	locked map[core.UserID]time.Time
}

// Open opens the file. One that cannot be opened is reported, and keeps the
// service from nothing else: then nobody is enrolled and no code is right.
func Open(cfg Config) *Factors {
	f := &Factors{Memory: NewMemory(cfg.Remember), cfg: cfg, locked: map[core.UserID]time.Time{}, tickets: tickets{left: map[core.UserID]ticket{}}}
	if f.store, f.broken = openStore(cfg.Path); f.broken == nil {
		f.broken = f.relock()
	}
	if f.broken != nil {
		cfg.Log.Error("second factors cannot be used", "error", f.broken)
	}
	return f
}

// Close closes the file.
func (f *Factors) Close() error {
	if f.store == nil {
		return nil
	}
	if err := f.store.file.Close(); err != nil {
		return fmt.Errorf("mfa: close: %w", err)
	}
	return nil
}

// relock locks out again whom an earlier service had locked out, for what is
// left by the wall clock, and for the whole time where that was set back. While
// the service runs, setting the clock changes nothing.
func (f *Factors) relock() error {
	list, err := f.store.all()
	if err != nil {
		return err
	}
	now := time.Now()
	for _, r := range list {
		passed := max(0, now.Sub(r.Locked))
		if !r.Locked.IsZero() && passed < f.cfg.LockOut {
			f.locked[r.UserID] = now.Add(f.cfg.LockOut - passed)
		}
	}
	return nil
}

// unusable says why nothing can be done.
func (f *Factors) unusable() error {
	if f.broken == nil {
		return nil
	}
	return fmt.Errorf("mfa: %w: %w", ErrNotThere, f.broken)
}

// sealedFor is what a secret is sealed for: one cannot be put in another's place.
func sealedFor(user core.UserID) []byte { return []byte("second factor of " + string(user)) }

// Enroll gives a person a secret and recovery codes. They are returned this once.
// ErrEnrolled if there are some and replace is false.
func (f *Factors) Enroll(ctx context.Context, by core.Principal, person core.Account, replace bool) (view.Enrollment, error) {
	none := view.Enrollment{}
	if err := f.unusable(); err != nil {
		return none, err
	}
	secret := newSecret()
	sealed, err := f.cfg.Sealer.Seal(ctx, secret, sealedFor(person.User))
	if err != nil {
		return none, core.WithKind(core.Unavailable, fmt.Errorf("mfa: the secret cannot be sealed: %w", err))
	}
	codes, kept := newRecovery(person.User)
	f.mu.Lock()
	defer f.mu.Unlock()
	cause := "enrolled"
	switch _, err := f.store.get(person.User); {
	case err == nil && !replace:
		return none, ErrEnrolled
	case err == nil:
		cause = "replaced"
	case !errors.Is(err, ErrNotEnrolled):
		return none, err
	}
	r := record{UserID: person.User, User: person.Name, By: by.String(), At: time.Now().UTC(), Secret: sealed, Recovery: kept}
	if err := f.write(r, cause, by, "", ""); err != nil {
		return none, err
	}
	delete(f.locked, person.User)
	f.ForgetUser(person.User)
	text := encode(secret)
	return view.Enrollment{User: person.Name, UserID: string(person.User), Secret: text, URI: keyURI(person.Name, f.cfg.Machine(), text), RecoveryCodes: codes}, nil
}

// Remove ends a person's factor. user is a user id, or a name as it was when
// they were enrolled: the account may be gone.
func (f *Factors) Remove(by core.Principal, user string) error {
	if err := f.unusable(); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	list, err := f.store.all()
	if err != nil {
		return err
	}
	for _, r := range list {
		if r.User != user && string(r.UserID) != user {
			continue
		}
		if err := f.journalled(r, "removed", by, "", ""); err != nil {
			return err
		}
		if err := f.store.remove(r.UserID); err != nil {
			return err
		}
		delete(f.locked, r.UserID)
		f.ForgetUser(r.UserID)
		return nil
	}
	return ErrNotEnrolled
}

// List returns who is enrolled, without anything secret, in order of user ids.
func (f *Factors) List() ([]view.Factor, error) {
	if err := f.unusable(); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	records, err := f.store.all()
	list := []view.Factor{}
	for _, r := range records {
		list = append(list, view.Factor{
			User: r.User, UserID: string(r.UserID), Kind: "totp", At: r.At, By: r.By,
			RecoveryCodes: len(r.Recovery), LockedSeconds: seconds(f.lockedFor(r.UserID)),
		})
	}
	return list, err
}

func notEnrolled(err error) bool { return errors.Is(err, ErrNotEnrolled) }

// seconds rounds up: who is locked out for a moment is locked out.
func seconds(d time.Duration) int { return int((d + time.Second - 1) / time.Second) }

// write records what happens to r, and keeps r. f.mu is held.
func (f *Factors) write(r record, cause string, by core.Principal, request core.RequestID, message string) error {
	if err := f.journalled(r, cause, by, request, message); err != nil {
		return err
	}
	if err := f.store.put(r); err != nil {
		return core.WithKind(core.Unavailable, err)
	}
	return nil
}

func (f *Factors) journalled(r record, cause string, by core.Principal, request core.RequestID, message string) error {
	err := f.cfg.Journal.Append(journal.Record{
		Type: journal.Factor, Request: request, UserID: r.UserID, User: r.User, Cause: cause, By: by.String(), Message: message,
	})
	if err != nil {
		return core.WithKind(core.Unavailable, fmt.Errorf("mfa: %w", err))
	}
	return nil
}
