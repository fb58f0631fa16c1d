package fileaccess

import (
	"fmt"
	"slices"

	"kpm/core"
)

// state is the file.
type state struct {
	Entries []*entry `json:"entries"`
	Grants  []*Grant `json:"grants"`
}

// entry is one file whose list is ours to give back.
type entry struct {
	Ref core.FileRef `json:"ref"`
	// Before is the list without anything of ours, After the one that was written
	// last, or is being written, and Pending the one that After takes the place of:
	// a service that is killed leaves any of the three.
	Before  []byte `json:"before"`
	After   []byte `json:"after"`
	Pending []byte `json:"pending,omitempty"`
	// Denied are the users whom policies keep from the file, sorted; Absolute those
	// of them for whom no grant changes that.
	Denied   []core.UserID    `json:"denied,omitempty"`
	Absolute []core.UserID    `json:"absolute,omitempty"`
	Policies []core.PolicyRef `json:"policies,omitempty"`
	// Ours are the users for whom the list has entries of ours, sorted.
	Ours []core.UserID `json:"ours,omitempty"`

	fault string // why it cannot be settled, as it was logged
}

func (k *Keeper) load() error {
	err := k.cfg.File.Load(&k.state, "remove it, and access control lists of files stay as they are")
	k.state.Entries = slices.DeleteFunc(k.state.Entries, func(e *entry) bool { return e == nil })
	k.state.Grants = slices.DeleteFunc(k.state.Grants, func(g *Grant) bool { return g == nil })
	return err
}

// save writes everything down durably. k.mu is held.
func (k *Keeper) save() error {
	if err := k.cfg.File.Save(k.state); err != nil {
		return fmt.Errorf("fileaccess: %w", err)
	}
	return nil
}

// of returns the entry of a file; nil if there is none.
func (s *state) of(ref core.FileRef) *entry {
	for _, e := range s.Entries {
		if e.Ref.Same(ref) {
			return e
		}
	}
	return nil
}

func (s *state) drop(gone *entry) {
	s.Entries = slices.DeleteFunc(s.Entries, func(e *entry) bool { return e == gone })
}
