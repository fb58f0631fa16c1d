package service

import (
	"context"
	"net/http"
	"time"

	"kpm/api"
	"kpm/core"
)

// drainWithin is how long, in an orderly stop, commands that are about to end
// still may.
const drainWithin = time.Second

// waitingForOne is how many callers may be at the door for each request that
// may be open.
const waitingForOne = 4

// startAPI makes the API and the door for users; listen opens them.
func (s *service) startAPI(_ context.Context, o Options) error {
	var err error
	s.api, err = api.New(api.Config{
		Version: o.Version, TLS: s.certificate.TLS(),
		Administrators: api.Administrators{
			Clients: s.clients, Signed: s.app.RequireSignedAdmin, Programs: newSignedPrograms(s.host.Peers, s.signatures),
		},
		Peers: s.host.Peers, Identify: people{s.registry, s.host.Accounts, s.app.Requests.AllowUnknownUsers}, Self: s.host.Tree.Self(),
		Plugins: confirmedPlugins{s.plugins, s.launcher.Confirm}, PluginControl: pluginControl{s.plugins, s}, Jobs: filterJobs{approvedJobs{s.jobs, s}, s.launcher}, Settings: s.values, Application: application{s}, Health: s.health,
		Doctor: surgery{s}, LastKnownGood: good{s}, Observed: observed{s}, Factors: factors{s}, Refused: s.refusals.note,
		Requests: s.launcher, Approvals: approvalDesk{s}, ApprovalKeys: approvalKeys{s}, Notices: s.notices, Prompts: promptDesk{s}, Grants: grants{s.grants}, FileGrants: fileGrants{s}, Rights: places{s.rights}, Accounts: accounts{s}, Elevator: s.launcher,
		People: s.people(),
		Limits: api.Limits{
			// Those who wait for their turn besides those whose turn it is.
			Callers: waitingForOne * s.app.Requests.MaxOpen, CallersPerUser: waitingForOne * s.app.Requests.MaxOpenPerUser,
		},
		Log: s.log.With("component", "api"),
	})
	if err != nil {
		return err
	}
	s.onStop(s.api.Close)
	// First: it ends the callers that the API waits for. Commands that go on
	// are left to themselves soon, or nobody else had time to stop.
	s.onStop(func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, drainWithin)
		defer cancel()
		return s.launcher.Close(ctx)
	})
	return nil
}

// local answers a job run's Http tasks (decision 16).
func (s *service) local(run core.Principal) http.RoundTripper { return s.api.RoundTripper(run) }
