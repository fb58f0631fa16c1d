package service

import (
	"errors"

	"kpm/core"
	"kpm/core/fair"
	"kpm/core/port"
	"kpm/launcher/start"
)

// people is the registry's word on who a peer is, without those who are nobody
// on this machine: a user without an account is Public, unless a setting lets
// them ask, and so is a process that is denied what this service is not
// (decision 32a). What the service has launched is not concerned.
type people struct {
	*start.Registry
	accounts     port.Accounts
	allowUnknown bool
}

// Identify implements api.Identifier.
func (p people) Identify(peer core.Peer) (core.Principal, core.ProcessID) {
	who, root := p.Registry.Identify(peer)
	if who.Kind == core.User && (peer.Confined != "" || !p.allowUnknown && !p.known(peer)) {
		who.Kind = core.Public
	}
	return who, root
}

// known reports whether a user has an account. A database that does not answer
// knows nobody.
func (p people) known(peer core.Peer) bool {
	if peer.Share == peer.User {
		return true
	}
	_, err := p.accounts.ByID(peer.User)
	return err == nil || errors.Is(err, errors.ErrUnsupported)
}

// people says to everything that is bounded whose share a user uses up, and
// that root, as which plugins run, comes first.
func (s *service) people() fair.People {
	facts := s.host.Facts
	return fair.People{
		Person:   s.host.Accounts.Share,
		Foremost: func(who core.UserID) bool { return who == facts.Administrator || who == facts.ServiceAccount },
	}
}
