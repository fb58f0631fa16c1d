package seal

import (
	"errors"

	"kpm/core"
	"kpm/core/door"
	"kpm/launcher/refusal"
)

// caller says who a peer is: their account, and the groups that they are in by
// the kernel and by the machine's user database (decision 32a).
//
// Attack: a user with subordinate ids is as many strangers as they have ids, and
// no policy that denies them by name or group meets one. So who has no account
// is refused. Where a setting lets them in, they are named by a number that is
// no account's name, and no group grants them anything.
func (s *Sealer) caller(peer core.Peer) (core.Account, core.Membership, error) {
	account, err := s.Accounts.ByID(peer.User)
	switch {
	case errors.Is(err, core.ErrNoAccount) && s.AllowUnknown:
		account = core.Account{User: peer.User, Name: "#" + string(peer.User), Group: strangersGroup}
		if len(peer.Groups) > 0 {
			account.Group = peer.Groups[0]
		}
	case errors.Is(err, core.ErrNoAccount):
		s.Log.Debug("caller without account", "user", peer.User, "error", err)
		return account, core.Membership{}, refusal.New(door.CodeNotFound,
			"user %s has no account on this machine: ask as a user who has one", peer.User)
	case err != nil:
		return account, core.Membership{}, s.unanswered(err)
	}
	names, err := s.Accounts.GroupNames(core.Every(peer.Groups, account))
	unnamed := errors.Is(err, core.ErrNoAnswer)
	if err != nil && !unnamed && !errors.Is(err, errors.ErrUnsupported) {
		return account, core.Membership{}, s.unanswered(err)
	}
	membership := core.NewMembership(peer.Groups, account, names)
	membership.Unknown = membership.Unknown || unnamed
	return account, membership, nil
}

// Member is in which groups an account is, by the user database alone: no process of
// its asks.
func (s *Sealer) Member(account core.Account) (core.Membership, error) {
	names, err := s.Accounts.GroupNames(account.Groups)
	unnamed := errors.Is(err, core.ErrNoAnswer)
	if err != nil && !unnamed && !errors.Is(err, errors.ErrUnsupported) {
		return core.Membership{}, err
	}
	membership := core.NewMembership(nil, account, names)
	membership.Unknown = membership.Unknown || unnamed
	return membership, nil
}

// Who says who a peer is, as the subject of a request would: Caller, Membership
// and Administrator are set. Errors are those of Seal about callers.
func (s *Sealer) Who(peer core.Peer) (core.Subject, error) {
	if err := identified(peer); err != nil {
		return core.Subject{}, err
	}
	account, membership, err := s.caller(peer)
	return core.Subject{Caller: account, Membership: membership, Administrator: s.isAdministrator(peer)}, err
}

// isAdministrator reports whether policy does not concern a peer. A command that
// was elevated is not such an administrator, and neither is a plugin or task.
func (s *Sealer) isAdministrator(peer core.Peer) bool {
	return peer.Administrator && s.Administrator(peer)
}

// strangersGroup is what a caller without account has for a group where the
// kernel does not name one.
const strangersGroup = "65534"

// unanswered words that the user database could not be asked.
func (s *Sealer) unanswered(err error) error {
	s.Log.Warn("user database", "error", err)
	return refusal.New(door.CodeUnavailable, "the machine's user database does not answer: try again")
}

// Named says who somebody is who has not asked: an account of this machine by its name,
// or by # and a number, with the groups that its user database has for it now. The error
// is a refusal for whoever has named them.
func (s *Sealer) Named(name string) (core.Subject, error) {
	account, err := s.Accounts.ByName(name)
	switch {
	case errors.Is(err, core.ErrNoAccount):
		return core.Subject{}, refusal.New(door.CodeNotFound, "there is no such user on this machine")
	case err != nil:
		return core.Subject{}, s.unanswered(err)
	}
	names, err := s.Accounts.GroupNames(account.Groups)
	unnamed := errors.Is(err, core.ErrNoAnswer)
	if err != nil && !unnamed && !errors.Is(err, errors.ErrUnsupported) {
		return core.Subject{}, s.unanswered(err)
	}
	membership := core.NewMembership(nil, account, names)
	membership.Unknown = membership.Unknown || unnamed
	return core.Subject{Caller: account, Membership: membership, Administrator: account.User == s.Facts.Administrator}, nil
}
