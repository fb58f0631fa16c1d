package service

import (
	"context"
	"errors"
	"fmt"
	"net"

	"kpm/api"
	"kpm/broker"
	"kpm/core"
	"kpm/jobs"
)

// states shows the broker a request's state by the names of docs/wire.md.
type states struct{ *service }

var _ broker.Requests = states{}

func (s states) State(id core.RequestID) (string, bool) {
	state, ok := s.launcher.State(id)
	return string(state), ok
}

// topics shows the broker what plugins and jobs declared.
type topics struct{ *service }

var _ broker.Topics = topics{}

func (t topics) Declared(p core.Principal) (publish, subscribe []string) {
	switch p.Kind {
	case core.Plugin:
		return t.plugins.Topics(p.Name)
	case core.JobRun:
		return t.jobs.Topics(p.Name)
	}
	return nil, nil
}

func (t topics) Token(p core.Principal) string { return t.jobs.Token(p) }

// pluginList shows the API the plugins.
type pluginList struct{ *service }

func (l pluginList) List() []api.Plugin {
	var list []api.Plugin
	for _, p := range l.plugins.List() {
		row := api.Plugin{ID: p.ID, Name: p.Name, Status: string(p.Status), ProcessID: p.ProcessID, Detail: p.LastError}
		if p.LastStartTime != nil {
			row.LastStartTime = *p.LastStartTime
		}
		list = append(list, row)
	}
	return list
}

// jobList shows the API the jobs.
type jobList struct{ *service }

func (l jobList) List() []api.Job {
	var list []api.Job
	for _, j := range l.jobs.List() {
		list = append(list, api.Job{ID: j.ID, Name: j.Name, Description: j.Description, Enabled: j.Enabled,
			AllowPluginTrigger: j.AllowPluginTrigger, OwnEventsOnly: j.OwnEventsOnly, Detail: j.Detail})
	}
	return list
}

// Run translates the errors of one room into those of the other.
func (l jobList) Run(ctx context.Context, id string, params map[string]any) (string, error) {
	run, err := l.jobs.Run(ctx, id, params)
	for from, to := range map[error]error{
		jobs.ErrUnknown: api.ErrUnknownJob, jobs.ErrParameters: api.ErrParameters,
		jobs.ErrDisabled: api.ErrJobState, jobs.ErrOwnEvents: api.ErrJobState, jobs.ErrBusy: api.ErrJobState, jobs.ErrClosed: api.ErrJobState,
	} {
		if errors.Is(err, from) {
			return "", fmt.Errorf("%w: %w", to, err)
		}
	}
	return run, err
}

func (l jobList) Allowed(run core.Principal, method, path string) bool {
	return l.jobs.Allowed(run, method, path)
}

// effective shows the API the settings.
type effective struct{ service *service }

func (e effective) Effective(plugin string) (map[string]string, bool) {
	return e.service.effective.All(plugin)
}

// dial connects a job run's Http task to the API (decision 16).
func (s *service) dial(run core.Principal) (net.Conn, error) { return s.api.Dial(run) }
