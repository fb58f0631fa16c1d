package service

import (
	"context"

	"kpm/core"
	"kpm/core/wire"
	"kpm/launcher/execution"
)

// newExecution makes what decides about programs right before they run. It is off until
// settings are in force.
func (s *service) newExecution() *execution.Server {
	return execution.New(execution.Config{
		Control: s.host.Executions,
		Consult: func(ctx context.Context, q wire.PolicyRequest) (wire.PolicyResponse, error) {
			return s.launcher.Consult(ctx, q)
		},
		Granted: s.mayExecute, Append: s.journal.Append, Name: s.nameOf, Machine: machineName,
		Log: s.log.With("component", "execution"),
	})
}

// mayExecute reports whether a user holds an execution grant for the file at path: by
// its numbers, which are those of the file that is executed, and by the file system's
// own word that they have not been given to another file since.
func (s *service) mayExecute(user core.UserID, path string, device, inode uint64) bool {
	return s.files.Holds(user, device, inode) && s.files.HoldsAt(user, path)
}

// nameOf returns what a user is called, empty if nobody knows.
func (s *service) nameOf(user core.UserID) string {
	account, err := s.host.Accounts.ByID(user)
	if err != nil {
		return ""
	}
	return account.Name
}

// serveExecutions stops programs from now on, whenever it is switched on.
func (s *service) serveExecutions(ctx context.Context, _ Options) error {
	s.switchExecutions()
	s.background(ctx, s.execution.Run)
	return nil
}

func (s *service) switchExecutions() {
	s.execution.Switch(s.inForce.Interception.Executions, s.inForce.Interception.Mounts)
}
