package service

import (
	"context"

	"kpm/api"
	"kpm/core"
	"kpm/core/view"
	"kpm/launcher/mfa"
	"kpm/launcher/tries"
)

// maxTries bounds the file that wrong answers are counted in, in bytes.
const maxTries = 16 << 20

// startFactors opens the second factors of people.
func (s *service) startFactors(context.Context, Options) error {
	s.tries = tries.Open(tries.Config{
		File: stateFile(s.host, s.layout.Tries(), maxTries), LockOut: s.app.MFA.LockOut,
	})
	if err := s.tries.Err(); err != nil {
		s.log.Error("logins and codes of approvals are not looked at", "error", err)
	}
	s.factors = mfa.Open(mfa.Config{
		Path: s.layout.Factors(), Sealer: sealer{s}, Journal: s.journal, Machine: machineName,
		LockOut: s.app.MFA.LockOut, Remember: s.app.MFA.Remember,
		Log: s.log.With("component", "mfa"),
	})
	s.onStop(func(context.Context) error { return s.factors.Close() })
	s.logins = mfa.NewSteps(s.login(), s.factors)
	s.onStop(func(context.Context) error { s.logins.Close(); return nil })
	return nil
}

// inForceFactors are the factors that may serve, in the order in which they do.
func (s *service) inForceFactors() (list []mfa.Factor) {
	for _, kind := range s.app.MFA.Factors {
		switch kind {
		case mfa.KindCodes:
			list = append(list, mfa.Codes{Factors: s.factors})
		case mfa.KindLogin:
			list = append(list, s.login())
		}
	}
	return list
}

// login is what people log in with, as a factor.
func (s *service) login() mfa.Login {
	return mfa.Login{Authenticator: s.host.Authenticator, Tries: s.tries, Journal: s.journal, Memory: s.factors.Memory, Log: s.log.With("component", "mfa")}
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

// Login implements api.Factors. Who asks is whom the kernel names.
func (f factors) Login(ctx context.Context, who core.Principal, answer view.LoginAnswer) (view.Login, error) {
	if answer.ID != "" {
		return f.logins.Answer(ctx, who.User, answer.ID, []byte(answer.Answer))
	}
	account, err := f.host.Accounts.ByID(who.User)
	if err != nil {
		return view.Login{}, err
	}
	return f.logins.Begin(ctx, who, account)
}

// Remove implements api.Factors. A name that the account has now comes first.
func (f factors) Remove(by core.Principal, user string) error {
	if account, err := f.host.Accounts.ByName(user); err == nil {
		user = string(account.User)
	}
	return f.factors.Remove(by, user)
}
