package fileaccess

import (
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"time"

	"kpm/core"
	"kpm/core/span"
)

// Kind is what a grant is for.
type Kind string

// The kinds of grant.
const (
	File      Kind = "file"      // to read and write a data file
	Execution Kind = "execution" // to start a program
)

// Bounds of how long a grant lasts: DefaultLength is the published one.
const (
	DefaultLength = 240 * time.Minute
	MaxLength     = 24 * time.Hour
)

// Grant is access to one file for one user for a time.
type Grant struct {
	ID       string           `json:"id"`
	Kind     Kind             `json:"kind"`
	User     core.UserID      `json:"user"`
	UserName string           `json:"userName"`
	Ref      core.FileRef     `json:"ref"`
	Request  core.RequestID   `json:"request,omitempty"`
	Policies []core.PolicyRef `json:"policies,omitempty"`
	By       string           `json:"by"` // who has given it
	// Given and Until are on the wall clock. Ends is when it is over by the clock
	// that nobody can set, of the boot that it was given in. What comes first counts;
	// after a restart of the machine there is the wall clock alone.
	Given time.Time     `json:"given"`
	Until time.Time     `json:"until"`
	Boot  string        `json:"boot"`
	Ends  time.Duration `json:"ends"`
}

// Want is what a grant is asked for.
type Want struct {
	User core.Account
	Path string
	// Device and Inode are those of the file that was decided on; 0 for whatever lies
	// at Path.
	Device, Inode uint64
	Length        time.Duration // DefaultLength if 0; MaxLength at most
	Request       core.RequestID
	Policies      []core.PolicyRef
	By            core.Principal
	// Direct is true if an administrator gives it, and not a request that policy has
	// allowed: then it is also for a file that no policy keeps the user from.
	Direct bool
}

// Give gives access. It is in force when Give returns. For who holds a grant already
// it lasts as long as the longer of the two. Errors wrap ErrDenied, ErrUnruled,
// ErrTooMany, or those of the file.
func (k *Keeper) Give(w Want) (Grant, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.broken != nil {
		return Grant{}, fmt.Errorf("fileaccess: %w", k.broken)
	}
	k.expire()
	f, err := k.cfg.Lists.Open(w.Path)
	if err != nil {
		return Grant{}, fmt.Errorf("fileaccess: %w", err)
	}
	defer f.Close()
	// Attack: another file is put there while approvers look at the first.
	if at := f.Info(); w.Inode != 0 && (at.Device != w.Device || at.Inode != w.Inode) {
		return Grant{}, fmt.Errorf("fileaccess: %s: %w", at.Path, ErrReplaced)
	}
	g := &Grant{Kind: File, User: w.User.User, UserName: w.User.Name, Ref: f.Ref(), Request: w.Request, Policies: w.Policies, By: w.By.String()}
	if f.Info().Exec {
		g.Kind = Execution
	}
	if err := k.givable(g, w.Direct, f.Info().Owner); err != nil {
		return Grant{}, fmt.Errorf("fileaccess: %s: %w", f.Info().Path, err)
	}
	if err := k.date(g, w.Length); err != nil {
		return Grant{}, fmt.Errorf("fileaccess: %w", err)
	}
	before := slices.Clone(k.state.Grants)
	for _, old := range before {
		if old.Kind == g.Kind && old.User == g.User && old.Ref.Same(g.Ref) {
			if old.Until.After(g.Until) {
				g.Until, g.Ends = old.Until, old.Ends
			}
			k.state.Grants = slices.DeleteFunc(k.state.Grants, func(other *Grant) bool { return other == old })
		}
	}
	g.ID = rand.Text()
	event := Event{What: Granted, File: f.Info().Path, Users: []core.UserID{g.User}, Policies: g.Policies, Grant: g, By: w.By,
		Message: "access until " + g.Until.Format(time.RFC3339)}
	if err := k.cfg.Record(event); err != nil {
		k.state.Grants = before
		return Grant{}, fmt.Errorf("fileaccess: %w", err)
	}
	k.state.Grants = append(k.state.Grants, g)
	if err := k.enact(g); err != nil {
		k.state.Grants = before
		k.tell(Event{What: Ended, File: event.File, Users: event.Users, Grant: g, By: core.ServicePrincipal(), Message: "it could not be put in force: " + err.Error()})
		return Grant{}, errors.Join(fmt.Errorf("fileaccess: %w", err), k.save())
	}
	k.publish()
	k.stir()
	return *g, nil
}

// enact puts a new grant in force. k.mu is held.
func (k *Keeper) enact(g *Grant) error {
	if g.Kind == Execution {
		return k.save()
	}
	e := k.state.of(g.Ref)
	if e == nil {
		if e = k.begin(g.Ref); e == nil {
			return errors.New("the file has gone")
		}
	}
	if err := k.bring(e); err != nil {
		if len(k.wanted(e)) == 1 && e.After == nil { // nothing was changed
			k.state.drop(e)
		}
		return err
	}
	return nil
}

// givable says whether a grant may be given. k.mu is held.
func (k *Keeper) givable(g *Grant, direct bool, owner core.UserID) error {
	e := k.state.of(g.Ref)
	mine := 0
	for _, other := range k.state.Grants {
		if other.User == g.User {
			mine++
		}
	}
	switch {
	case mine >= maxUserGrants || len(k.state.Grants) >= maxGrants:
		return ErrTooMany
	case e != nil && slices.Contains(e.Absolute, g.User):
		return ErrDenied
	case g.Kind == Execution || direct && g.User != owner:
		return nil
	// Attack: a policy that asks everybody for a reason, whatever the file, gives
	// them /etc/shadow. So what is given is what a policy has taken from this user,
	// which it does for files whose place it names.
	case e == nil || !slices.Contains(e.Denied, g.User):
		return ErrUnruled
	}
	return nil
}

// date sets when a grant is over.
func (k *Keeper) date(g *Grant, length time.Duration) error {
	if length <= 0 {
		length = DefaultLength
	}
	length = min(length, MaxLength)
	boot, since, err := k.cfg.Clock.Now()
	if err != nil {
		return err
	}
	g.Boot, g.Ends = boot, since+length
	g.Given = time.Now().UTC().Round(0)
	g.Until = g.Given.Add(length)
	return nil
}

// left is how much time a grant has; 0 or less if it is over. Who sets the wall clock
// back to before it was given gains nothing.
func (g *Grant) left(boot string, since time.Duration, wall time.Time) time.Duration {
	left := g.Until.Sub(wall)
	if wall.Before(g.Given) && boot != g.Boot {
		return 0
	}
	if boot == g.Boot {
		left = min(left, g.Ends-since)
	}
	return left
}

// expire ends what is over, and returns when to look next. k.mu is held.
func (k *Keeper) expire() time.Duration {
	boot, since, err := k.cfg.Clock.Now()
	if err != nil {
		boot = "" // then the wall clock alone counts
	}
	wall, next := time.Now(), longest
	for _, g := range slices.Clone(k.state.Grants) {
		if left := g.left(boot, since, wall); left > 0 {
			next = min(next, left)
		} else {
			k.end(g, "its time is over", core.ServicePrincipal())
		}
	}
	return next
}

// end ends a grant, and takes access away at once. k.mu is held.
func (k *Keeper) end(g *Grant, why string, by core.Principal) {
	k.state.Grants = slices.DeleteFunc(k.state.Grants, func(other *Grant) bool { return other == g })
	k.tell(Event{What: Ended, File: g.Ref.Path, Users: []core.UserID{g.User}, Grant: g, Message: why, By: by})
	if e := k.state.of(g.Ref); e != nil && g.Kind == File {
		k.settle(e)
	}
	if err := k.save(); err != nil {
		k.cfg.Log.Error("that a grant has ended cannot be written down", "grant", g.ID, "error", err)
	}
	k.publish()
}

// endGrantsOf ends the grants of a file that has gone. k.mu is held.
func (k *Keeper) endGrantsOf(e *entry, why string) {
	for _, g := range slices.Clone(k.state.Grants) {
		if g.Ref.Same(e.Ref) {
			k.end(g, why, core.ServicePrincipal())
		}
	}
}

// Revoke ends a grant of that kind: of that user, or anybody's if user is empty. The
// error wraps ErrUnknown.
func (k *Keeper) Revoke(kind Kind, id string, user core.UserID, by core.Principal) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.expire()
	for _, g := range k.state.Grants {
		if g.ID == id && g.Kind == kind && (user == "" || g.User == user) {
			k.end(g, "it was revoked", by)
			return nil
		}
	}
	return fmt.Errorf("fileaccess: grant %.64q: %w", id, ErrUnknown)
}

// CleanUp ends the grants of a kind that are over, and those whose file or user is
// there no more. It returns how many there were and how many are left.
func (k *Keeper) CleanUp(kind Kind) (ended, left int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	count := func() (n int) {
		for _, g := range k.state.Grants {
			if g.Kind == kind {
				n++
			}
		}
		return n
	}
	before := count()
	k.expire()
	for _, g := range slices.Clone(k.state.Grants) {
		if g.Kind != kind {
			continue
		}
		if _, err := k.cfg.Accounts.ByID(g.User); errors.Is(err, core.ErrNoAccount) {
			k.end(g, "its user is there no more", core.ServicePrincipal())
			continue
		}
		f, err := k.cfg.Lists.Open(g.Ref.Path)
		switch {
		case err != nil:
			k.end(g, "its file cannot be opened: "+err.Error(), core.ServicePrincipal())
		case !f.Ref().Same(g.Ref):
			k.end(g, "another file has taken the place of its own", core.ServicePrincipal())
		}
		if err == nil {
			f.Close()
		}
	}
	left = count()
	return before - left, left
}

// Shown is a grant with what is left of it.
type Shown struct {
	Grant
	Left time.Duration
}

// List returns the grants of a kind: of a user, or of everybody if user is empty.
func (k *Keeper) List(kind Kind, user core.UserID) (list []Shown) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.expire()
	boot, since, _ := k.cfg.Clock.Now()
	for _, g := range k.state.Grants {
		if g.Kind == kind && (user == "" || g.User == user) {
			list = append(list, Shown{*g, g.left(boot, since, time.Now())})
		}
	}
	return list
}

// Held returns the grant that a user holds for the file at path.
func (k *Keeper) Held(user core.UserID, path string) (Shown, bool) {
	f, err := k.cfg.Lists.Open(path)
	if err != nil {
		return Shown{}, false
	}
	defer f.Close()
	for _, kind := range []Kind{File, Execution} {
		for _, g := range k.List(kind, user) {
			if g.Ref.Same(f.Ref()) {
				return g, true
			}
		}
	}
	return Shown{}, false
}

// publish hands the execution grants to Holds. k.mu is held, or nobody else has k yet.
func (k *Keeper) publish() {
	var list []Grant
	for _, g := range k.state.Grants {
		if g.Kind == Execution {
			list = append(list, *g)
		}
	}
	k.executions.Store(&list)
}

// Holds reports whether a user holds an execution grant for the file of that device
// and inode. It waits for nobody.
func (k *Keeper) Holds(user core.UserID, device, inode uint64) bool {
	for _, g := range *k.executions.Load() {
		if g.User != user || g.Ref.Device != device || g.Ref.Inode != inode {
			continue
		}
		boot, since, err := k.cfg.Clock.Now()
		return err == nil && g.left(boot, since, time.Now()) > 0
	}
	return false
}

// HoldsAt is Holds for the file that lies at path now.
func (k *Keeper) HoldsAt(user core.UserID, path string) bool {
	for _, g := range *k.executions.Load() {
		if g.User != user || g.Ref.Path != path {
			continue
		}
		f, err := k.cfg.Lists.Open(path)
		if err != nil {
			return false
		}
		defer f.Close()
		// Attack: another program has taken the place of the one that it is for.
		return f.Ref().Same(g.Ref) && k.Holds(user, g.Ref.Device, g.Ref.Inode)
	}
	return false
}

// InWords is how long a grant lasts, for people.
func (s Shown) InWords() string {
	return fmt.Sprintf("access for %s, until %s", span.Text(s.Left.Round(time.Second)), s.Until.Local().Format("15:04"))
}
