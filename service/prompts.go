package service

import (
	"errors"

	"kpm/api"
	"kpm/core"
	"kpm/core/dialog"
	"kpm/core/view"
	"kpm/launcher/origin"
	"kpm/launcher/prompts"
)

// newPrompts makes what knows who can be asked at another terminal than a request's.
func (s *service) newPrompts(finder *origin.Finder) *prompts.Desk {
	return prompts.New(prompts.Config{
		Ancestors: s.host.Ancestry.Ancestors, Starter: s.host.Ancestry.Starter, TerminalOf: s.host.Sessions.Terminal, Behind: finder.Of,
	})
}

// elsewhere is Find of the desk; nil on a system where nobody could listen at a terminal.
func (s *service) elsewhere() func(core.Peer) (dialog.Show, bool) {
	if _, err := s.host.Sessions.Terminal(s.host.Tree.Self()); errors.Is(err, errors.ErrUnsupported) {
		return nil
	}
	return s.prompts.Find
}

// promptDesk is where people come to who want to be asked: people alone, and not from
// within an elevation.
type promptDesk struct{ *service }

var _ api.Prompts = promptDesk{}

var errNoPerson = core.NewError(core.NotPermitted, "questions are for people, in a session of their own: not for plugins and jobs, and not within an elevation")

// Listen implements api.Prompts.
func (d promptDesk) Listen(who core.Principal, peer core.Peer) (<-chan view.Prompt, func(), error) {
	if !d.isPerson(who, peer) {
		return nil, nil, errNoPerson
	}
	return d.prompts.Listen(peer)
}

// Answer implements api.Prompts.
func (d promptDesk) Answer(who core.Principal, peer core.Peer, id string, a dialog.Answer) error {
	if !d.isPerson(who, peer) {
		return errNoPerson
	}
	return d.prompts.Answer(peer, id, a)
}

// isPerson reports whether approvalDesk would take them for somebody who is here.
func (d promptDesk) isPerson(who core.Principal, peer core.Peer) bool {
	p, err := approvalDesk(d).person(who, peer)
	return err == nil && !p.Remote
}
