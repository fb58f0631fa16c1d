package approval

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"kpm/core"
	"kpm/core/approvalcode"
	"kpm/launcher/journal"
	"kpm/launcher/tries"
)

// Errors of codes.
var (
	ErrNoKey     = core.NewError(core.NotFound, "this machine has no key for codes: an administrator makes one with KeeperAdminCLI approvals key new")
	ErrKeyThere  = core.NewError(core.Conflict, "this machine has a key for codes already; what replaces it makes the help desk's worthless")
	ErrWrongCode = core.NewError(core.NotPermitted, "the code is wrong, for another request, or too old")
	ErrLockedOut = core.NewError(core.NotPermitted, "too many wrong codes")
	ErrNoCode    = core.NewError(core.Invalid, approvalcode.ErrCode.Error())
)

// kindOfTry is what wrong codes are counted as.
const kindOfTry = "approval-code"

// byCode is whose yes a code is: whoever holds the machine's key. It counts for every
// policy, once: of two approvers that one wants it is never both.
var byCode = Person{User: "code", Name: "the help desk's code", Remote: true}

// Sealer is the machine key. What is sealed under a name can be read under that name
// alone.
type Sealer interface {
	Seal(ctx context.Context, secret, name []byte) ([]byte, error)
	Unseal(ctx context.Context, sealed, name []byte) ([]byte, error)
}

// sealedFor is what the key is sealed for.
var sealedFor = []byte("codes of approvals")

// CodesConfig is what Codes work with. All fields are required.
type CodesConfig struct {
	Book *Book
	// Path is the file that the sealed key is kept in, which root alone can read.
	Path string
	// Read, WriteAtomic and Remove are those of port.Files. Errors of Read and Remove
	// wrap fs.ErrNotExist.
	Read        func(path string) ([]byte, error)
	WriteAtomic func(path string, data []byte, perm os.FileMode) error
	Remove      func(path string) error
	Sealer      Sealer
	Tries       *tries.Counter
	Journal     interface{ Append(journal.Record) error }
	Log         *slog.Logger
}

// Codes are approvals over the telephone: one-time codes that a help desk makes of a
// challenge with this machine's key. Without a key there are none.
type Codes struct {
	cfg CodesConfig

	mu   sync.Mutex // one change at a time
	kept *keptKey   // nil if there is none
	bad  error      // why the file cannot be read
}

// keptKey is the file.
type keptKey struct {
	At     time.Time `json:"at"`
	By     string    `json:"by"`
	Sealed []byte    `json:"sealed"`
}

// NewCodes reads the key that is there.
func NewCodes(cfg CodesConfig) *Codes {
	c := &Codes{cfg: cfg}
	data, err := cfg.Read(cfg.Path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return c
	case err == nil:
		c.kept = &keptKey{}
		err = json.Unmarshal(data, c.kept)
	}
	if err != nil {
		c.kept, c.bad = nil, core.WithKind(core.Unavailable, fmt.Errorf("approval: the key for codes %s cannot be read: %w", cfg.Path, err))
		cfg.Log.Error("no code of the help desk is looked at", "error", c.bad)
	}
	return c
}

// NewKey makes the key that a help desk is to have: it is shown this once.
func (c *Codes) NewKey(ctx context.Context, by core.Principal, replace bool) (approvalcode.Key, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if (c.kept != nil || c.bad != nil) && !replace {
		return approvalcode.Key{}, errors.Join(ErrKeyThere, c.bad)
	}
	key := approvalcode.NewKey()
	sealed, err := c.cfg.Sealer.Seal(ctx, key[:], sealedFor)
	if err != nil {
		return approvalcode.Key{}, core.WithKind(core.Unavailable, fmt.Errorf("approval: the key for codes cannot be sealed: %w", err))
	}
	next := &keptKey{At: time.Now().UTC().Round(0), By: by.String(), Sealed: sealed}
	data, err := json.MarshalIndent(next, "", " ")
	if err != nil {
		return approvalcode.Key{}, err
	}
	if err := c.journalled("key-made", by, "the key for codes was made: whoever has it approves every request"); err != nil {
		return approvalcode.Key{}, err
	}
	if err := c.cfg.WriteAtomic(c.cfg.Path, append(data, '\n'), 0o600); err != nil {
		return approvalcode.Key{}, fmt.Errorf("approval: write %s: %w", c.cfg.Path, err)
	}
	c.kept, c.bad = next, nil
	return key, nil
}

// RemoveKey ends codes on this machine. ErrNoKey if there is none.
func (c *Codes) RemoveKey(by core.Principal) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.kept == nil && c.bad == nil {
		return ErrNoKey
	}
	if err := c.journalled("key-removed", by, "the key for codes was removed"); err != nil {
		return err
	}
	if err := c.cfg.Remove(c.cfg.Path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("approval: remove %s: %w", c.cfg.Path, err)
	}
	c.kept, c.bad = nil, nil
	return nil
}

// Key says when the key was made, and by whom. ErrNoKey if there is none.
func (c *Codes) Key() (at time.Time, by string, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.kept == nil {
		return time.Time{}, "", errors.Join(c.bad, ErrNoKey)
	}
	return c.kept.At, c.kept.By, nil
}

// Challenge is what r's requester reads aloud; empty if no code can approve r.
func (c *Codes) Challenge(r *Record) string {
	if _, _, err := c.Key(); err != nil || !r.State.Open() {
		return ""
	}
	return challenge(r).String()
}

// challenge is what a code is for: the record, and everything that it is an approval of.
func challenge(r *Record) approvalcode.Challenge {
	w := &r.Want
	parts := [][]byte{[]byte("approval"), []byte(r.ID), []byte(w.User), []byte(w.Target), []byte(w.Path), []byte(w.Seal), r.Created.UTC().AppendFormat(nil, time.RFC3339Nano)}
	for _, rule := range w.Rules {
		parts = append(parts, []byte(rule.Policy.ID))
	}
	return approvalcode.NewChallenge(append(parts, w.Argv...)...)
}

// Approve is the yes of whoever has made text of the challenge of an approval. Its
// requester enters it, and nobody else. Errors wrap ErrUnknown, also for somebody
// else's, ErrNoKey, ErrConflict, ErrNoCode, ErrWrongCode or ErrLockedOut; then nothing
// has changed.
//
// Attack: codes are guessed, at once or beside a restart. Each is counted as wrong, on
// the disk, before it is compared; five in a row lock the person out. Attack: a code is
// used twice, or for something else. It is the code of one record, which it moves out of
// the state in which codes are taken, once.
func (c *Codes) Approve(ctx context.Context, id string, user core.UserID, text string) (Record, error) {
	r, err := c.cfg.Book.Get(id)
	switch {
	case err != nil:
		return Record{}, err
	case r.Want.User != user:
		return Record{}, fmt.Errorf("approval: %s: %w", ID(id), ErrUnknown)
	case !r.State.Open():
		return Record{}, fmt.Errorf("approval: code for %s: it is %s: %w", r.ID, r.State, ErrConflict)
	}
	key, err := c.unsealed(ctx)
	if err != nil {
		return Record{}, err
	}
	if strings.TrimSpace(text) == "" { // nothing is no try; everything else is one, whatever it looks like
		return Record{}, ErrNoCode
	}
	locks, err := c.cfg.Tries.Take(kindOfTry, user)
	var locked *tries.Locked
	switch {
	case errors.As(err, &locked):
		return Record{}, fmt.Errorf("%w: %w", ErrLockedOut, err)
	case err != nil:
		return Record{}, err
	}
	right, shape := key.Right(challenge(&r), text, time.Now())
	switch {
	case shape != nil:
		return Record{}, fmt.Errorf("%w: %w", c.wrong(&r, locks), shape)
	case !right:
		return Record{}, c.wrong(&r, locks)
	}
	r, err = c.cfg.Book.Approve(r.ID, byCode, "", 0)
	if err != nil {
		return Record{}, err
	}
	return r, c.cfg.Tries.Clear(kindOfTry, user)
}

// wrong records a wrong code.
func (c *Codes) wrong(r *Record, locks bool) error {
	line := journal.Record{
		Type: journal.Approval, UserID: r.Want.User, User: r.Want.Name, Seal: r.Want.Seal, Cause: "wrong-code",
		Message: "approval " + r.ID, By: core.Principal{Kind: core.User, User: r.Want.User}.String(),
	}
	if err := c.cfg.Journal.Append(line); err != nil {
		c.cfg.Log.Error("a wrong code is not in the journal", "approval", r.ID, "error", err)
	}
	if locks {
		return fmt.Errorf("%w: %w: the next is looked at in %s", ErrWrongCode, ErrLockedOut, c.cfg.Tries.Left(kindOfTry, r.Want.User).Round(time.Minute))
	}
	return ErrWrongCode
}

func (c *Codes) unsealed(ctx context.Context) (key approvalcode.Key, err error) {
	c.mu.Lock()
	kept, bad := c.kept, c.bad
	c.mu.Unlock()
	if kept == nil {
		return key, errors.Join(bad, ErrNoKey)
	}
	secret, err := c.cfg.Sealer.Unseal(ctx, kept.Sealed, sealedFor)
	if err == nil && len(secret) != len(key) {
		err = fmt.Errorf("it has %d bytes", len(secret))
	}
	if err != nil {
		return key, core.WithKind(core.Unavailable, fmt.Errorf("approval: the key for codes cannot be read: %w", err))
	}
	copy(key[:], secret)
	return key, nil
}

func (c *Codes) journalled(cause string, by core.Principal, message string) error {
	err := c.cfg.Journal.Append(journal.Record{Type: journal.Approval, Cause: cause, By: by.String(), Message: message})
	if err != nil {
		return core.WithKind(core.Unavailable, fmt.Errorf("approval: %w", err))
	}
	return nil
}
