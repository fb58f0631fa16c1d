package service

import (
	"context"
	"errors"

	"kpm/core"
	"kpm/launcher"
	"kpm/launcher/transient"
)

// maxTransient bounds the file that numbers of accounts are counted in, in bytes.
const maxTransient = 4 << 10

// openTransient makes what makes accounts for one command each; nil where there are
// none.
func (s *service) openTransient() launcher.Transient {
	if _, err := s.host.Transient.Numbers(); errors.Is(err, errors.ErrUnsupported) {
		return nil
	}
	pool, err := transient.Open(transient.Config{
		Path: s.layout.Transient(), WriteAtomic: s.host.Files.WriteAtomic,
		Read:     func(path string) ([]byte, error) { return s.host.Files.ReadProtected(path, maxTransient) },
		Accounts: s.host.Transient, Record: launcher.RecordTransient(s.journal), Log: s.log.With("component", "accounts"),
	})
	if err != nil {
		s.log.Error("no accounts are made for commands", "error", err)
		return nil
	}
	s.transient = pool
	s.onStop(func(context.Context) error {
		pool.Close()
		return nil
	})
	return pool
}

// accounts serves the accounts of commands to the API.
type accounts struct{ *service }

var errNoAccounts = core.NewError(core.Unsupported, "no accounts are made for commands on this machine")

// Clean implements api.Accounts.
func (a accounts) Clean(ctx context.Context) (int, error) {
	if a.transient == nil {
		return 0, errNoAccounts
	}
	return a.transient.Clean(ctx)
}

// Prepare implements api.Accounts.
func (a accounts) Prepare(ctx context.Context, from core.Principal, id core.RequestID) (string, error) {
	return a.launcher.Lodge(ctx, from, id)
}
