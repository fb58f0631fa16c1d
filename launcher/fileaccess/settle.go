package fileaccess

import (
	"bytes"
	"errors"
	"io/fs"
	"slices"

	"kpm/core"
	"kpm/core/port"
)

// wanted is what the entry's list is to have of ours. k.mu is held.
func (k *Keeper) wanted(e *entry) map[core.UserID]core.Access {
	want := map[core.UserID]core.Access{}
	for _, user := range e.Denied {
		want[user] = core.Denied
	}
	for _, g := range k.state.Grants {
		if g.Kind == File && g.Ref.Same(e.Ref) && !slices.Contains(e.Absolute, g.User) {
			want[g.User] = core.ReadWrite
		}
	}
	return want
}

// settle brings a file's list to what it is to be. What cannot be done is tried again
// when Look comes by. k.mu is held.
func (k *Keeper) settle(e *entry) {
	err := k.bring(e)
	fault := ""
	if err != nil {
		fault = err.Error()
	}
	if fault != e.fault && fault != "" {
		k.cfg.Log.Error("access to a file is not as it is to be", "file", e.Ref.Path, "error", err)
	}
	e.fault = fault
}

func (k *Keeper) bring(e *entry) error {
	f, err := k.cfg.Lists.Reopen(e.Ref)
	if errors.Is(err, fs.ErrNotExist) {
		k.state.drop(e)
		k.endGrantsOf(e, "the file is there no more")
		k.tell(Event{What: Gone, File: e.Ref.Path, Message: "the file is there no more, and with it what was changed about it", By: core.ServicePrincipal()})
		return k.save()
	}
	if err != nil {
		return err
	}
	defer f.Close()
	now, err := f.Read()
	if err != nil {
		return err
	}
	want := k.wanted(e)
	before, foreign, err := k.before(e, now)
	if err != nil {
		return err
	}
	after, err := k.with(before, want)
	if err != nil {
		return err
	}
	ours := sortedUsers(want)
	switch {
	case len(want) == 0:
		return k.restore(e, f, now, before, foreign)
	case !foreign && bytes.Equal(now, after) && bytes.Equal(e.After, after) && e.Pending == nil && slices.Equal(e.Ours, ours):
		return nil
	}
	// The record comes first: whatever happens between it and the change, the next
	// service knows each list that may be there.
	was := *e
	e.Before, e.After, e.Pending, e.Ours = before, after, now, ours
	if err := k.save(); err != nil {
		*e = was
		return err
	}
	if err := f.Write(after); err != nil {
		e.After, e.Pending, e.Ours = now, nil, was.Ours
		return errors.Join(err, k.save())
	}
	e.Pending = nil
	if foreign {
		k.tell(Event{What: Foreign, File: f.Info().Path, Users: ours, Policies: e.Policies, By: core.ServicePrincipal(),
			Message: "somebody else has changed the file's access control list; what they changed stays, and our entries are in it again"})
	}
	if !slices.Equal(was.Ours, ours) || !slices.Equal(was.Denied, e.Denied) || was.After == nil {
		k.tell(Event{What: Denied, File: f.Info().Path, Users: e.Denied, Policies: e.Policies, By: core.ServicePrincipal(), Message: told(want)})
	}
	return k.save()
}

// before returns the list without anything of ours, and whether somebody else has
// changed it since we did.
func (k *Keeper) before(e *entry, now []byte) (list []byte, foreign bool, err error) {
	if bytes.Equal(now, e.Before) || bytes.Equal(now, e.After) || e.Pending != nil && bytes.Equal(now, e.Pending) {
		return e.Before, false, nil
	}
	list = now
	for _, user := range e.Ours {
		if list, err = k.cfg.Lists.Without(list, e.Before, user); err != nil {
			return nil, true, err
		}
	}
	return list, true, nil
}

func (k *Keeper) with(list []byte, want map[core.UserID]core.Access) (_ []byte, err error) {
	// Denials first: with one order the same wish gives the same list.
	for _, access := range []core.Access{core.Denied, core.ReadWrite} {
		for _, user := range sortedUsers(want) {
			if want[user] != access {
				continue
			}
			if list, err = k.cfg.Lists.With(list, user, access); err != nil {
				return nil, err
			}
		}
	}
	return list, nil
}

// restore gives a file back. k.mu is held.
func (k *Keeper) restore(e *entry, f port.AccessFile, now, before []byte, foreign bool) error {
	if !bytes.Equal(now, before) {
		if err := f.Write(before); err != nil {
			return err
		}
	}
	k.state.drop(e)
	if err := k.save(); err != nil {
		k.state.Entries = append(k.state.Entries, e)
		return err
	}
	message := "the file's access control list is as it was"
	if foreign {
		message = "somebody else has changed the file's access control list meanwhile: what they changed stays, and our entries alone are gone"
	}
	k.tell(Event{What: Restored, File: f.Info().Path, Users: e.Ours, Policies: e.Policies, By: core.ServicePrincipal(), Message: message})
	return nil
}

// tell writes what has happened into the journal. The record that matters for giving
// back is the state's own.
func (k *Keeper) tell(e Event) {
	if err := k.cfg.Record(e); err != nil {
		k.cfg.Log.Error("a change of access to a file is not in the journal", "file", e.File, "what", e.What, "error", err)
	}
}

// told says in words what a list has of ours.
func told(want map[core.UserID]core.Access) string {
	for _, access := range want {
		if access == core.ReadWrite {
			return "the file's access control list keeps users from it, and lets those in who hold a grant"
		}
	}
	return "the file's access control list keeps users from it"
}

func sortedUsers(want map[core.UserID]core.Access) []core.UserID {
	list := make([]core.UserID, 0, len(want))
	for user := range want {
		list = append(list, user)
	}
	slices.Sort(list)
	return list
}
