package rights

import (
	"fmt"
	"slices"
	"time"

	"kpm/core"
)

// Place is somebody in a group.
type Place struct {
	User  core.UserID `json:"user"`
	Name  string      `json:"name"`
	Group string      `json:"group"`
}

func (p Place) is(other Place) bool { return p.User == other.User && p.Group == other.Group }

// Taken is a place that somebody had and policy has taken.
type Taken struct {
	Place
	Policies []core.PolicyRef `json:"policies"`
	At       time.Time        `json:"at"`
}

// Given is a place that somebody has as long as a grant lasts.
type Given struct {
	Place
	Grant  string         `json:"grant"` // its id
	Policy core.PolicyRef `json:"policy"`
	// Boot and Ends are when it is over by the clock that nobody can set, whatever
	// becomes of the grant; Until is what the clock on the wall will say.
	Boot  string        `json:"boot"`
	Ends  time.Duration `json:"ends"`
	At    time.Time     `json:"at"`
	Until time.Time     `json:"until"`
	// Put is true once the person is put in, or about to be: who is in the group
	// before that is so without us.
	Put bool `json:"put,omitempty"`
	// Over is why it has ended; empty as long as it has not.
	Over string `json:"over,omitempty"`
	// Stays is true if the place is the person's own by now, so that they keep it.
	Stays bool `json:"stays,omitempty"`
}

// Spared is a place that an administrator has given back, and that policy does not
// take until an administrator says so.
type Spared struct {
	Place
	By string    `json:"by"`
	At time.Time `json:"at"`
}

// kept is the file.
type kept struct {
	Taken  []Taken  `json:"taken"`
	Given  []Given  `json:"given"`
	Spared []Spared `json:"spared"`
	// Untold are changes that were made while nobody could write the journal: this
	// service did not run.
	Untold []Change `json:"untold,omitempty"`
}

// load reads the file. What is not there has nothing in it.
func (b *Book) load() error {
	if err := b.cfg.File.Load(&b.kept, "it says whose rights were taken and given: correct it, or compare the groups with the journal and remove it"); err != nil {
		return fmt.Errorf("rights: %w", err)
	}
	return nil
}

// save writes the file durably. b.mu is held.
func (b *Book) save() error {
	if err := b.cfg.File.Save(b.kept); err != nil {
		return fmt.Errorf("rights: %w", err)
	}
	return nil
}

// change changes the file, or nothing if it cannot be written.
func (b *Book) change(to func(*kept)) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	before := kept{slices.Clone(b.kept.Taken), slices.Clone(b.kept.Given), slices.Clone(b.kept.Spared), slices.Clone(b.kept.Untold)}
	to(&b.kept)
	if err := b.save(); err != nil {
		b.kept = before
		return err
	}
	return nil
}

func (k *kept) dropTaken(p Place) {
	k.Taken = slices.DeleteFunc(k.Taken, func(t Taken) bool { return t.is(p) })
}

func (k *kept) dropGiven(g Given) {
	k.Given = slices.DeleteFunc(k.Given, func(o Given) bool { return o.Grant == g.Grant && o.is(g.Place) })
}

func (k *kept) taken(p Place) bool {
	return slices.ContainsFunc(k.Taken, func(t Taken) bool { return t.is(p) })
}

// given reports whether a grant that has not ended gives somebody that place.
func (k *kept) given(p Place) bool {
	return slices.ContainsFunc(k.Given, func(g Given) bool { return g.is(p) && g.Over == "" })
}

func (k *kept) spared(p Place) bool {
	return slices.ContainsFunc(k.Spared, func(s Spared) bool { return s.is(p) })
}
