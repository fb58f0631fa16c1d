package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"kpm/core/view"
	"kpm/core/wire"
)

// apiCommands are the commands that ask the running service.
func apiCommands(e *endpoint) []*cobra.Command {
	return []*cobra.Command{
		statusCommand(e),
		group(&cobra.Command{Use: "plugins", Short: "Show the plugins"}, listPluginsCommand(e)),
		group(&cobra.Command{Use: "jobs", Short: "Show and run jobs"},
			listJobsCommand(e), runJobCommand(e), triggerJobCommand(e)),
		group(&cobra.Command{Use: "settings", Short: "Show settings of plugins"}, getSettingsCommand(e)),
	}
}

func statusCommand(e *endpoint) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Say whether the service runs and its plugins are well",
		Long: `Say whether the service runs and its plugins are well.

The plugins' state is shown to root only. Exit status 1 means that the service
does not answer or that a plugin has failed.`,
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
			if answer.Status != "running" || len(answer.Ailing) > 0 {
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
	Status  string         `json:"status"`
	Detail  string         `json:"detail,omitempty"`
	Version string         `json:"version,omitempty"`
	Plugins int            `json:"plugins"`
	Jobs    view.JobCounts `json:"jobs"`
	// Ailing are plugins that do not run as they should.
	Ailing []string `json:"ailing,omitempty"`
}

func (e *endpoint) status(ctx context.Context) (status, error) {
	var service view.Service
	err := e.get(ctx, "/", &service)
	if errors.Is(err, errNotRunning) {
		return status{Status: "not running", Detail: err.Error()}, nil
	}
	var counts view.SystemStatus
	if err == nil {
		err = e.get(ctx, "/api/system/status", &counts)
	}
	if err != nil {
		return status{}, err
	}
	answer := status{Status: counts.Status, Version: service.Version, Plugins: counts.Plugins, Jobs: counts.Jobs}
	var plugins []view.Plugin
	err = e.get(ctx, "/api/plugins", &plugins)
	var r *refusal
	if errors.As(err, &r) && r.Code == "tier-too-low" {
		return answer, nil // counts are all that others are told
	}
	for _, p := range plugins {
		if p.Status == view.Failed || p.Status == view.Unhealthy {
			answer.Ailing = append(answer.Ailing, strings.TrimSuffix(p.ID+" is "+string(p.Status)+": "+p.Detail, ": "))
		}
	}
	return answer, err
}

func (s status) print(w io.Writer, asJSON bool) error {
	if asJSON {
		return printJSON(w, s)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s", s.Status)
	if s.Detail != "" {
		fmt.Fprintf(&b, ": %s\n", s.Detail)
	} else {
		fmt.Fprintf(&b, ", version %s, %d plugins, %d jobs (%d enabled)\n", s.Version, s.Plugins, s.Jobs.Total, s.Jobs.Enabled)
	}
	for _, p := range s.Ailing {
		fmt.Fprintln(&b, p)
	}
	_, err := io.WriteString(w, printableLines(b.String()))
	return err
}

func listPluginsCommand(e *endpoint) *cobra.Command {
	return listCommand(e, "plugins", "/api/plugins", "ID\tSTATUS\tPROCESS\tSTARTED\tDETAIL", func(p view.Plugin) []string {
		process, started := "", ""
		if p.ProcessID != 0 {
			process = strconv.Itoa(p.ProcessID)
		}
		if !p.LastStartTime.IsZero() {
			started = p.LastStartTime.Local().Format(time.DateTime)
		}
		return []string{p.ID, string(p.Status), process, started, p.Detail}
	})
}

func listJobsCommand(e *endpoint) *cobra.Command {
	return listCommand(e, "jobs", "/api/Jobs", "ID\tENABLED\tSTARTED BY\tNAME\tDETAIL", func(j view.Job) []string {
		by := "administrators"
		switch {
		case j.OwnEventsOnly:
			by = "its events"
		case j.AllowPluginTrigger:
			by = "administrators, plugins"
		}
		return []string{j.ID, strconv.FormatBool(j.Enabled), by, j.Name, j.Detail}
	})
}

// listCommand prints a list of the API as a table.
func listCommand[T any](e *endpoint, what, path, head string, row func(T) []string) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List the " + what,
		Example: fmt.Sprintf("  KeeperAdminCLI %s list\n  KeeperAdminCLI %s list --json", what, what),
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if asJSON {
				return e.pass(cmd, http.MethodGet, path, nil)
			}
			var list []T
			if err := e.get(cmd.Context(), path, &list); err != nil {
				return err
			}
			rows := [][]string{strings.Split(head, "\t")}
			for _, item := range list {
				rows = append(rows, row(item))
			}
			return printTable(cmd.OutOrStdout(), rows)
		},
	}
	jsonFlag(cmd, &asJSON)
	return cmd
}

func runJobCommand(e *endpoint) *cobra.Command {
	var id string
	cmd := &cobra.Command{
		Use:   "run --id ID",
		Short: "Run a job now",
		Long: `Run a job now and print the run's id, without waiting for its end.

Jobs that belong to a request start from their own events only.`,
		Example: "  KeeperAdminCLI jobs run --id log-version-info\n  KeeperAdminCLI --port 6889 jobs run --id log-version-info",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return e.start(cmd, id, "run", nil)
		},
	}
	idFlag(cmd, &id)
	return cmd
}

func triggerJobCommand(e *endpoint) *cobra.Command {
	var id, context string
	cmd := &cobra.Command{
		Use:     "trigger --id ID --context JSON",
		Short:   "Run a job with a context",
		Long:    "Run a job with a context, a JSON object whose members become its parameters.",
		Example: `  KeeperAdminCLI jobs trigger --id cleanup --context '{"olderThanDays": 30}'`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var object map[string]any
			if err := json.Unmarshal([]byte(context), &object); err != nil || object == nil {
				return fmt.Errorf("--context is %q, expected a JSON object", context)
			}
			return e.start(cmd, id, "trigger", []byte(context))
		},
	}
	idFlag(cmd, &id)
	cmd.Flags().StringVar(&context, "context", "{}", "JSON object")
	return cmd
}

// start starts a job and prints the answer, which is JSON already.
func (e *endpoint) start(cmd *cobra.Command, id, verb string, body []byte) error {
	return e.pass(cmd, http.MethodPost, "/api/Jobs/"+url.PathEscape(id)+"/"+verb, body)
}

func getSettingsCommand(e *endpoint) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "get PLUGIN [KEY]",
		Short: "Show what a plugin's settings are in effect",
		Long: `Show what a plugin's settings are in effect, all or one.

KeeperPrivilegeManager is the service's own set.`,
		Example: "  KeeperAdminCLI settings get KeeperPrivilegeManager\n  KeeperAdminCLI settings get KeeperPolicy policy.enforceForAdministrators",
		Args:    cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			path := "/api/PluginSettings"
			for _, arg := range args {
				path += "/" + url.PathEscape(arg)
			}
			if asJSON {
				return e.pass(cmd, http.MethodGet, path, nil)
			}
			if len(args) == 2 {
				var value string
				if err := e.get(cmd.Context(), path, &value); err != nil {
					return err
				}
				_, err := fmt.Fprintln(cmd.OutOrStdout(), wire.Printable(value))
				return err
			}
			var all map[string]string
			if err := e.get(cmd.Context(), path, &all); err != nil {
				return err
			}
			rows := [][]string{{"KEY", "VALUE"}}
			for _, key := range slices.Sorted(maps.Keys(all)) {
				rows = append(rows, []string{key, all[key]})
			}
			return printTable(cmd.OutOrStdout(), rows)
		},
	}
	jsonFlag(cmd, &asJSON)
	return cmd
}

// pass prints the service's own JSON.
func (e *endpoint) pass(cmd *cobra.Command, method, path string, body []byte) error {
	answer, err := e.call(cmd.Context(), method, path, body)
	if err != nil {
		return err
	}
	return printJSON(cmd.OutOrStdout(), answer)
}

func printJSON(w io.Writer, value any) error {
	data, err := json.Marshal(value)
	if err == nil {
		_, err = fmt.Fprintf(w, "%s\n", ascii(data))
	}
	return err
}

// printTable aligns the columns of rows. Names and details come from files and
// programs: what could move a cursor or forge a row is replaced.
func printTable(w io.Writer, rows [][]string) error {
	var b strings.Builder
	table := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		for i, cell := range row {
			if i > 0 {
				fmt.Fprint(table, "\t")
			}
			fmt.Fprint(table, wire.Printable(cell))
		}
		fmt.Fprintln(table)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for line := range strings.Lines(b.String()) {
		if _, err := fmt.Fprintln(w, strings.TrimRight(line, " \n")); err != nil {
			return err
		}
	}
	return nil
}

func jsonFlag(cmd *cobra.Command, asJSON *bool) {
	cmd.Flags().BoolVar(asJSON, "json", false, "print the result as JSON")
}

func idFlag(cmd *cobra.Command, id *string) {
	cmd.Flags().StringVar(id, "id", "", "the job's id")
	if err := cmd.MarkFlagRequired("id"); err != nil {
		panic(err) // the flag was defined in the line above
	}
}
