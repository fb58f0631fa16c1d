// Package fileaccess keeps people from files that policy denies to them, and gives
// them access for a time.
//
// What keeps them from a data file is the operating system, by an entry for each of
// them in the file's own access control list. Whatever is changed was written down
// before, so that it is given back exactly: when policy says so, when a grant is over,
// after kill -9, and when the agent is removed. What somebody else has changed
// meanwhile stays, and our entries alone go.
//
// A program that people run is no data file: nothing here keeps anybody from it. For
// whoever watches programs being started there are execution grants, and Holds.
//
// It decides nothing: rules come from KeeperPolicy, and grants from whoever may give
// them.
package fileaccess

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"kpm/core"
	"kpm/core/port"
	"kpm/core/statefile"
	"kpm/core/view"
	"kpm/core/wire"
)

// Bounds. A file system holds some hundred entries in a list; beyond, the file is one
// that cannot be kept, and that is said.
const (
	maxFiles      = 4096
	maxUserGrants = 64
	maxGrants     = 1024
)

// lookEvery is how often files are looked for that have been put in the place of
// others, and lists that somebody has changed.
const lookEvery = 30 * time.Second

// Errors of grants.
var (
	ErrUnknown  = core.NewError(core.NotFound, "there is no such grant")
	ErrDenied   = core.NewError(core.Conflict, "policy denies the file to the user, and no grant changes that")
	ErrUnruled  = core.NewError(core.Conflict, "no policy keeps the user from the file")
	ErrReplaced = core.NewError(core.Conflict, "another file has taken the place of the one that was decided on")
	ErrTooMany  = core.NewError(core.TooMany, "there are too many grants")
)

// Config is what a Keeper works with. Every field is required.
type Config struct {
	// File is what all is written down in.
	File     statefile.File
	Lists    port.AccessLists
	Accounts port.Accounts
	Clock    port.Clock
	// Administrator is whom nothing is denied to.
	Administrator core.UserID
	Platform      core.Platform
	// Record writes an event into the journal. Nothing is given if that fails.
	Record func(Event) error
	Log    *slog.Logger
}

// Keeper keeps files. Its methods may be called concurrently.
type Keeper struct {
	cfg Config
	// executions are the execution grants that there are, for Holds, which nobody may
	// keep waiting.
	executions atomic.Pointer[[]Grant]

	mu       sync.Mutex
	state    state
	rules    []core.FileRule
	ruled    bool // rules are known
	problems []Problem
	broken   error // the state cannot be read: nothing is changed
	watched  string
	wake     chan struct{}
}

// Event is something that happened, for the journal.
type Event struct {
	// What is one of the constants.
	What     What
	File     string
	Users    []core.UserID
	Policies []core.PolicyRef
	// Grant is set with Granted and Ended.
	Grant   *Grant
	Message string
	By      core.Principal
}

// What has happened.
type What string

// The events.
const (
	Denied   What = "denied"   // a list keeps users from a file from now on
	Restored What = "restored" // a list is as it was before
	Foreign  What = "foreign"  // somebody else has changed a list that is ours
	Gone     What = "gone"     // a file is there no more
	Refused  What = "refused"  // a policy cannot be kept
	Watched  What = "watched"  // what a policy that only watches would keep users from
	Granted  What = "granted"
	Ended    What = "ended"
)

// Problem is why a policy about a file is not kept.
type Problem struct {
	File   string
	Policy core.PolicyRef
	Why    string
}

// Open reads what an earlier service has written down. Grants that are over end when
// Serve begins.
func Open(cfg Config) *Keeper {
	k := &Keeper{cfg: cfg, wake: make(chan struct{}, 1)}
	if k.broken = k.load(); k.broken != nil {
		cfg.Log.Error("access to files is left as it is: what was changed cannot be read", "error", k.broken)
	}
	k.publish()
	return k
}

// SetRules takes what policies keep people from, as KeeperPolicy has said last.
func (k *Keeper) SetRules(rules core.FileRules) {
	k.mu.Lock()
	k.rules, k.ruled = rules.Rules, true
	if rules.More > 0 {
		k.cfg.Log.Error("there are more policies about files than can be kept", "left out", rules.More)
	}
	k.mu.Unlock()
	k.stir()
}

func (k *Keeper) stir() {
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

// Serve keeps files and ends grants until ctx is done. What is denied stays denied
// when the service has gone.
func (k *Keeper) Serve(ctx context.Context) {
	for {
		next := k.Look()
		timer := time.NewTimer(next)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-k.wake:
			timer.Stop()
		case <-timer.C:
		}
	}
}

// longest is how long Serve sleeps when there is nothing to do.
const longest = time.Hour

// Look does what is due, and returns when it is to be called next.
func (k *Keeper) Look() time.Duration {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.broken != nil {
		return longest
	}
	next := k.expire()
	if k.ruled {
		k.survey()
	}
	for _, e := range slices.Clone(k.state.Entries) {
		k.settle(e)
	}
	if len(k.rules)+len(k.state.Entries) > 0 {
		next = min(next, lookEvery)
	}
	return next
}

// Problems returns which policies about files are not kept, and why.
func (k *Keeper) Problems() []Problem {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Clone(k.problems)
}

// GiveBack gives everything back: grants end, and every list is as it was. It is for
// the time when the agent is removed. The error names what could not be given back.
func (k *Keeper) GiveBack() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.broken != nil {
		return fmt.Errorf("fileaccess: %w", k.broken)
	}
	for _, g := range slices.Clone(k.state.Grants) {
		k.end(g, "the agent is removed", core.ServicePrincipal())
	}
	k.rules, k.ruled = nil, true
	for _, e := range slices.Clone(k.state.Entries) {
		e.Denied, e.Absolute = nil, nil
		k.settle(e)
	}
	if n := len(k.state.Entries); n > 0 {
		return fmt.Errorf("fileaccess: %d files still have entries of ours, the first is %s: %s", n, k.state.Entries[0].Ref.Path, k.state.Entries[0].fault)
	}
	return nil
}

// Access says who is kept from which files, and what cannot be kept.
func (k *Keeper) Access() view.FileAccess {
	k.mu.Lock()
	defer k.mu.Unlock()
	shown := view.FileAccess{Files: []view.FileKept{}, Problems: []view.FileProblem{}}
	for _, e := range k.state.Entries {
		kept := view.FileKept{
			FilePath: wire.PrintableLine(e.Ref.Path), Denied: []core.UserID{}, Granted: []core.UserID{},
			Policies: append([]core.PolicyRef{}, e.Policies...), Fault: wire.PrintableLine(e.fault),
		}
		want := k.wanted(e)
		for _, user := range sortedUsers(want) {
			if want[user] == core.ReadWrite {
				kept.Granted = append(kept.Granted, user)
			} else {
				kept.Denied = append(kept.Denied, user)
			}
		}
		shown.Files = append(shown.Files, kept)
	}
	for _, p := range k.problems {
		shown.Problems = append(shown.Problems, view.FileProblem{FilePath: wire.PrintableLine(p.File), Policy: p.Policy, Why: wire.PrintableLine(p.Why)})
	}
	return shown
}
