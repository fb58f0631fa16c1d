package service

import (
	"context"
	"errors"
	"log/slog"

	"kpm/core"
	"kpm/core/port"
	"kpm/launcher"
	"kpm/launcher/transient"
	"kpm/settings"
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
		File: stateFile(s.host, s.layout.Transient(), maxTransient), People: s.people(),
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

// removeAccounts removes every account that was made for a command of an agent root whose
// service does not run, with what still runs as it.
func removeAccounts(ctx context.Context, host port.Host, root string, log *slog.Logger) error {
	return whileStopped(host, root, settings.At(root, "").Transient(), func() error {
		numbers, err := host.Transient.Numbers()
		errs := []error{err}
		for _, number := range numbers {
			err := host.Transient.Remove(ctx, number)
			if err == nil {
				log.Info("an account that was made for a command is removed", "number", number)
			}
			errs = append(errs, err)
		}
		return errors.Join(errs...)
	})
}
