package admincli

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"

	"github.com/spf13/cobra"

	"kpm/core/view"
	"kpm/core/wire"
)

func explainJobCommand(e *endpoint) *cobra.Command {
	var id, event, context string
	var asJSON bool
	var given parameters
	cmd := &cobra.Command{
		Use:   "explain ID",
		Short: "Say whether a job would run, and why not",
		Long: `Say whether a job would run now, by name or for an event, with this context, and what
keeps it from running; and how its last runs ended. Nothing is started.`,
		Example: "  KeeperAdminCLI jobs explain cleanup\n  KeeperAdminCLI jobs explain on-scan --event ScanFinished --param Path=/srv",
		Args:    oneJob(&id),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if id == "" {
				return errNoID
			}
			if err := checkContext(context); err != nil {
				return err
			}
			values, err := given.body(context)
			if err != nil {
				return err
			}
			question, err := json.Marshal(map[string]any{"eventName": event, "context": json.RawMessage(values)})
			if err != nil {
				return err
			}
			answer, err := e.call(cmd.Context(), http.MethodPost, jobPath(id)+"/explain", question)
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), answer)
			}
			var explained view.JobExplained
			if err := json.Unmarshal(answer, &explained); err != nil {
				return err
			}
			return e.printExplained(cmd, explained, event)
		},
	}
	idFlag(cmd, &id)
	given.flag(cmd)
	cmd.Flags().StringVar(&event, "event", "", "for the event of this name")
	cmd.Flags().StringVar(&context, "context", "{}", "JSON object")
	jsonFlag(cmd, &asJSON)
	return cmd
}

func (e *endpoint) printExplained(cmd *cobra.Command, x view.JobExplained, event string) error {
	verdict := "would run"
	if !x.Runs {
		verdict = "would not run"
	}
	fmt.Fprintf(cmd.OutOrStdout(), "%s %s\n", wire.Printable(x.ID), verdict)
	for _, reason := range x.Reasons {
		fmt.Fprintf(cmd.OutOrStdout(), "  %s\n", wire.PrintableLine(reason))
	}
	query, none, some := url.Values{"limit": {"3"}}, "It has not run, as far as the history goes.", "Its last runs:"
	if event != "" {
		query.Set("event", event)
		none = "That event has not started it, as far as the history goes: it was not published, or the job was not there or switched off then."
		some = "Its last runs for that event:"
	}
	var page view.JobRuns
	if err := e.get(cmd.Context(), jobPath(x.ID)+"/runs?"+query.Encode(), &page); err != nil {
		return err
	}
	if len(page.Runs) == 0 {
		_, err := fmt.Fprintln(cmd.OutOrStdout(), none)
		return err
	}
	fmt.Fprintln(cmd.OutOrStdout(), some)
	return printRuns(cmd, view.JobRuns{Runs: page.Runs})
}
