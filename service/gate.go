package service

import (
	"context"

	"kpm/core"
	"kpm/core/wire"
	"kpm/launcher/gate"
)

// newGate makes what decides about programs right before they run. It is off until
// settings are in force.
func (s *service) newGate() *gate.Server {
	return gate.New(gate.Config{
		Gate: s.host.Gate,
		Consult: func(ctx context.Context, q wire.PolicyRequest) (wire.PolicyResponse, error) {
			return s.launcher.Consult(ctx, q)
		},
		Append: s.journal.Append, Name: s.nameOf, Machine: machineName,
		Log: s.log.With("component", "gate"),
	})
}

// nameOf returns what a user is called, empty if nobody knows.
func (s *service) nameOf(user core.UserID) string {
	account, err := s.host.Accounts.ByID(user)
	if err != nil {
		return ""
	}
	return account.Name
}

// serveGate stops programs from now on, whenever it is switched on.
func (s *service) serveGate(ctx context.Context, _ Options) error {
	s.switchGate()
	s.background(ctx, s.gate.Run)
	return nil
}

func (s *service) switchGate() {
	s.gate.Switch(s.inForce.Interception.Executions, s.inForce.Interception.Mounts)
}
