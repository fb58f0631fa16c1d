package admincli

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"kpm/core/view"
	"kpm/core/wire"
)

func listRunsCommand(e *endpoint) *cobra.Command {
	var state, trigger, event, since, before string
	var n int
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "runs [ID | RUN]",
		Short: "List runs, or show one with its tasks",
		Long: `List what jobs did, newest first: all jobs or one, and only some if flags say so.
With a run's id, show that run: what started it, what each task did and printed.`,
		Example: "  KeeperAdminCLI jobs runs\n  KeeperAdminCLI jobs runs cleanup --state failed -n 5\n  KeeperAdminCLI jobs runs --since 24h --json\n  KeeperAdminCLI jobs runs 3K7QZL2M4N5P6R7S8T9VWXYZAB",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 && isRun(args[0]) {
				return e.showRun(cmd, args[0], asJSON)
			}
			query := url.Values{"limit": {strconv.Itoa(n)}}
			for name, value := range map[string]string{"state": state, "trigger": trigger, "event": event, "before": before} {
				if value != "" {
					query.Set(name, value)
				}
			}
			path := "/api/Jobs/runs?"
			if len(args) == 1 {
				path = "/api/Jobs/" + url.PathEscape(args[0]) + "/runs?"
			}
			if since != "" {
				at, err := sinceTime(since, time.Now())
				if err != nil {
					return err
				}
				query.Set("since", at.UTC().Format(time.RFC3339))
			}
			path += query.Encode()
			if asJSON {
				return e.pass(cmd, http.MethodGet, path, nil)
			}
			var page view.JobRuns
			if err := e.get(cmd.Context(), path, &page); err != nil {
				return err
			}
			return printRuns(cmd, page)
		},
	}
	cmd.Flags().StringVar(&state, "state", "", "queued, running, succeeded, failed, skipped, cancelled or interrupted")
	cmd.Flags().StringVar(&trigger, "trigger", "", "event, schedule, manual, evaluate, alternate or rerun")
	cmd.Flags().StringVar(&event, "event", "", "started by the event of this name")
	cmd.Flags().StringVar(&since, "since", "", "a time (RFC 3339), or how long ago: 30m, 24h")
	cmd.Flags().StringVar(&before, "before", "", "go on where an earlier list ended: it says how")
	cmd.Flags().IntVarP(&n, "lines", "n", 20, "how many, 1 to 1000")
	jsonFlag(cmd, &asJSON)
	return cmd
}

// isRun reports whether text is a run's id, which no job's is: 26 characters of base32.
func isRun(text string) bool {
	if len(text) != 26 {
		return false
	}
	for _, c := range text {
		if (c < 'A' || c > 'Z') && (c < '2' || c > '7') {
			return false
		}
	}
	return true
}

func sinceTime(text string, now time.Time) (time.Time, error) {
	if ago, err := readLength(text); err == nil && ago >= 0 {
		return now.Add(-ago), nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return at, fmt.Errorf("--since is %q, expected a time like 2026-12-24T18:00:00Z, or a duration like 24h", text)
	}
	return at, nil
}

func printRuns(cmd *cobra.Command, page view.JobRuns) error {
	rows := [][]string{{"RUN", "JOB", "STATE", "STARTED BY", "CREATED", "TOOK", "REASON"}}
	for _, r := range page.Runs {
		rows = append(rows, []string{r.ID, r.JobID, r.State, startedBy(r), local(r.CreatedAt), took(r.StartedAt, r.EndedAt), wire.PrintableLine(r.Reason)})
	}
	if err := printTable(cmd.OutOrStdout(), rows); err != nil {
		return err
	}
	if page.Next != "" {
		_, err := fmt.Fprintf(cmd.ErrOrStderr(), "There are more: --before %s\n", wire.Printable(page.Next))
		return err
	}
	return nil
}

func startedBy(r view.JobRun) string {
	switch {
	case r.Trigger.Event != "":
		return r.Trigger.Kind + " " + r.Trigger.Event
	case r.Trigger.By != "":
		return r.Trigger.Kind + " " + r.Trigger.By
	}
	return r.Trigger.Kind
}

func local(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Local().Format(time.DateTime)
}

func took(from, to time.Time) string {
	if from.IsZero() || to.IsZero() {
		return ""
	}
	return to.Sub(from).Round(time.Millisecond).String()
}

// showRun prints one run for people.
func (e *endpoint) showRun(cmd *cobra.Command, id string, asJSON bool) error {
	if asJSON {
		return e.pass(cmd, http.MethodGet, runPath(id), nil)
	}
	var run view.JobRun
	if err := e.get(cmd.Context(), runPath(id), &run); err != nil {
		return err
	}
	context := func(values map[string]any) string {
		data, _ := json.Marshal(values) // it came as JSON
		return string(ascii(data))
	}
	rows := [][]string{{"run", run.ID}, {"job", run.JobID}, {"state", run.State}, {"reason", wire.PrintableLine(run.Reason)}, {"started by", startedBy(run)},
		{"created", local(run.CreatedAt)}, {"took", took(run.StartedAt, run.EndedAt)}}
	if run.ParentID != "" {
		rows = append(rows, []string{"parent", run.ParentID})
	}
	if run.RequestID != "" {
		rows = append(rows, []string{"request", string(run.RequestID)})
	}
	rows = append(rows, []string{"began with", context(run.ContextIn)}, []string{"found", context(run.ContextOut)})
	if err := printTable(cmd.OutOrStdout(), rows); err != nil {
		return err
	}
	for _, t := range run.Tasks {
		if err := printTask(cmd, t, true); err != nil {
			return err
		}
	}
	return nil
}
