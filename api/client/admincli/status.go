package admincli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"kpm/api/client"
	"kpm/core/view"
	"kpm/core/wire"
)

func statusCommand(e *endpoint) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Say on one screen how the service is",
		Long: `Say on one screen whether the service runs, elevations can succeed now, policies are
kept, and its plugins are healthy; and for root what is in force and what was refused
last: ports, certificate, journal, machine key, plugins, policies, and whether programs
are stopped before they run.

All but the first line is shown to root only. Exit status 1 means that
the service does not answer, that no elevation could succeed, that policies about which
programs may run are not kept although Interception:Executions is on, or that a plugin
is not as its file says.`,
		Example: "  KeeperAdminCLI status\n  KeeperAdminCLI status --json --root /srv/agent",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			answer, err := e.status(cmd.Context())
			if err != nil {
				return err
			}
			if err := answer.print(cmd.OutOrStdout(), asJSON); err != nil {
				return err
			}
			if answer.Status != "running" || !answer.Healthy || len(answer.Unhealthy) > 0 {
				return errFault
			}
			return nil
		},
	}
	jsonFlag(cmd, &asJSON)
	return cmd
}

// status is what `status` prints.
type status struct {
	Status  string `json:"status"`
	Detail  string `json:"detail,omitempty"`
	Version string `json:"version,omitempty"`
	// Healthy: an elevation could succeed now, and policies are kept. Problems says why
	// none could, Lapses which policies are not kept.
	Healthy  bool           `json:"healthy"`
	Problems []string       `json:"problems,omitempty"`
	Plugins  int            `json:"plugins"`
	Jobs     view.JobCounts `json:"jobs"`
	NotKept  bool           `json:"policiesNotKept,omitempty"` // some are not
	Lapses   []string       `json:"lapses,omitempty"`
	// Unhealthy are plugins that do not run as they should.
	Unhealthy []string `json:"unhealthy,omitempty"`
	// States are those of the plugins, by id.
	States map[string]view.PluginState `json:"pluginStates,omitempty"`
	more
}

func (e *endpoint) status(ctx context.Context) (status, error) {
	var service view.Service
	err := e.get(ctx, "/", &service)
	if errors.Is(err, client.ErrNotRunning) {
		return status{Status: "not running", Detail: remedied(err).Error()}, nil
	}
	var counts view.SystemStatus
	if err == nil {
		err = e.get(ctx, "/api/system/status", &counts)
	}
	if err != nil {
		return status{}, err
	}
	answer := status{
		Status: counts.Status, Version: service.Version, Healthy: counts.Healthy, NotKept: counts.NotKept, Problems: counts.Problems, Lapses: counts.Lapses, Plugins: counts.Plugins, Jobs: counts.Jobs,
	}
	var plugins []view.Plugin
	err = e.get(ctx, "/api/plugins", &plugins)
	var r *client.Refusal
	if errors.As(err, &r) && r.Code == "tier-too-low" {
		return answer, nil // counts are all that others are told
	}
	answer.States = map[string]view.PluginState{}
	for _, p := range plugins {
		answer.States[p.ID] = p.Status
		if p.Status == view.Failed || p.Status == view.Unhealthy {
			answer.Unhealthy = append(answer.Unhealthy, strings.TrimSuffix(p.ID+" is "+string(p.Status)+": "+p.Detail, ": "))
		}
	}
	if err == nil {
		answer.more, err = e.more(ctx)
	}
	if err != nil {
		return status{}, err
	}
	return answer, nil
}

func (s status) print(w io.Writer, asJSON bool) error {
	if asJSON {
		return printJSON(w, s)
	}
	lines := []string{s.Status + ": " + s.Detail}
	if s.Detail == "" {
		lines[0] = fmt.Sprintf("%s, version %s, %d plugins, %d jobs (%d enabled)", s.Status, s.Version, s.Plugins, s.Jobs.Total, s.Jobs.Enabled)
	}
	switch {
	case s.Healthy || s.Detail != "":
	case len(s.Problems) > 0:
		lines = append(lines, "no elevation can succeed now:")
	case s.NotKept && len(s.Lapses) == 0:
		lines = append(lines, "not all policies are kept now; run this as root to learn which")
	case !s.NotKept:
		lines = append(lines, "no elevation can succeed now; run this as root to learn why")
	}
	var states []string
	for _, id := range slices.Sorted(maps.Keys(s.States)) {
		states = append(states, id+" "+string(s.States[id]))
	}
	details := s.lines(time.Now())
	if s.Service != nil && len(states) > 0 {
		details = append(details, fmt.Sprintf("%-*s %s", statusNameSize, "plugins", strings.Join(states, ", ")))
	}
	var b strings.Builder
	for _, line := range slices.Concat(lines, s.Problems, s.Lapses, s.Unhealthy, details) {
		fmt.Fprintln(&b, wire.PrintableLine(line))
	}
	_, err := io.WriteString(w, b.String())
	return err
}
