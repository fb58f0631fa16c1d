package service

import (
	"context"

	"kpm/api"
	"kpm/core"
	"kpm/core/view"
	"kpm/launcher/mfa"
)

// startFactors opens the second factors of people.
func (s *service) startFactors(context.Context, Options) error {
	s.factors = mfa.Open(mfa.Config{
		Path: s.layout.Factors(), Sealer: sealer{s}, Journal: s.journal, Machine: machineName,
		LockOut: s.app.MFA.LockOut, Remember: s.app.MFA.Remember,
		Log: s.log.With("component", "mfa"),
	})
	s.onStop(func(context.Context) error { return s.factors.Close() })
	return nil
}

// factors are second factors for the API.
type factors struct{ *service }

var _ api.Factors = factors{}

// List implements api.Factors.
func (f factors) List() ([]view.Factor, error) { return f.factors.List() }

// Enroll implements api.Factors. Who is enrolled is an account of this machine.
func (f factors) Enroll(ctx context.Context, by core.Principal, user string, replace bool) (view.Enrollment, error) {
	account, err := f.host.Accounts.ByName(user)
	if err != nil {
		return view.Enrollment{}, err
	}
	return f.factors.Enroll(ctx, by, account, replace)
}

// Ticket implements api.Factors.
func (f factors) Ticket(by core.Principal, user string, replace bool) (view.Ticket, error) {
	account, err := f.host.Accounts.ByName(user)
	if err != nil {
		return view.Ticket{}, err
	}
	return f.factors.Ticket(by, account, replace)
}

// Redeem implements api.Factors. Who asks is whom the kernel names.
func (f factors) Redeem(ctx context.Context, who core.Principal, ticket string) (view.Enrollment, error) {
	account, err := f.host.Accounts.ByID(who.User)
	if err != nil {
		return view.Enrollment{}, err
	}
	return f.factors.Redeem(ctx, who, account, ticket)
}

// Remove implements api.Factors. A name that the account has now comes first.
func (f factors) Remove(by core.Principal, user string) error {
	if account, err := f.host.Accounts.ByName(user); err == nil {
		user = string(account.User)
	}
	return f.factors.Remove(by, user)
}
