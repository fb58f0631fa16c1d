package service

import (
	"context"

	"kpm/api"
	"kpm/core"
	"kpm/core/view"
	"kpm/launcher"
	"kpm/launcher/grant"
)

// maxGrants bounds the file that grants are kept in, in bytes.
const maxGrants = 64 << 20

// startGrants reads what need not be asked again, and ends it on time from now on.
func (s *service) startGrants(ctx context.Context) {
	var lent grant.Rights
	if s.rights.Book != nil {
		lent = s.rights
	}
	s.grants = grant.Open(grant.Config{
		Rights: lent,
		File:   stateFile(s.host, s.layout.Grants(), maxGrants),
		Clock:  s.host.Clock, Alive: s.host.Tree.Alive,
		Record: launcher.RecordGrant(s.journal), Soon: s.grantEnds, Log: s.log.With("component", "grants"),
	})
	s.background(ctx, s.grants.Serve)
}

// grants serves grants to the API.
type grants struct{ *grant.Store }

var _ api.Grants = grants{}

// List implements api.Grants.
func (g grants) List(user core.UserID) []view.Grant {
	list := []view.Grant{}
	for _, shown := range g.Store.List(user) {
		list = append(list, launcher.GrantView(shown))
	}
	return list
}

// filterJobs are the jobs, of which the launcher is told when one is run as the
// filter of a policy: the request lasts as long.
type filterJobs struct {
	api.Jobs
	launcher *launcher.Launcher
}

// Evaluate implements api.JobStarter.
func (f filterJobs) Evaluate(ctx context.Context, by core.Principal, id string, params map[string]any) (view.JobEvaluated, error) {
	if request, ok := params["RequestId"].(string); ok {
		f.launcher.FilterRuns(by, core.RequestID(request))
	}
	return f.Jobs.Evaluate(ctx, by, id, params)
}
