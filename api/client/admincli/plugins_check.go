package admincli

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"kpm/core/view"
)

func checkPluginCommand(e *endpoint) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "check ID|FILE",
		Short: "Hold a plugin against the published checklist",
		Long: `Hold a plugin against the eleven items of the published checklist: an
installed one by its id, against the process that runs; a file that is not
installed, as far as that can be seen.

Exit status 1: an item does not pass.`,
		Example: "  KeeperAdminCLI plugins check MyBridge\n  KeeperAdminCLI plugins check ./MyBridge/MyBridge.json",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			method, id, body := http.MethodGet, args[0], []byte(nil)
			if strings.HasSuffix(id, ".json") || strings.ContainsRune(id, filepath.Separator) {
				data, err := os.ReadFile(id)
				if err != nil {
					return err
				}
				method, id, body = http.MethodPost, strings.TrimSuffix(filepath.Base(id), ".json"), data
			}
			path, err := pluginPath(id, "check")
			if err != nil {
				return err
			}
			if asJSON {
				return e.pass(cmd, method, path, body)
			}
			var checks []view.Check
			if err := e.ask(cmd.Context(), method, path, body, &checks); err != nil {
				return err
			}
			return printChecklist(cmd, checks)
		},
	}
	jsonFlag(cmd, &asJSON)
	return cmd
}

func printChecklist(cmd *cobra.Command, checks []view.Check) error {
	var rows [][]string
	failed := 0
	for _, c := range checks {
		rows = append(rows, []string{fmt.Sprint(c.Item), c.Outcome, c.Title, c.Found})
		if c.Outcome == view.Fail {
			failed++
		}
		if c.Remedy != "" {
			rows = append(rows, []string{"", "", "", "-> " + c.Remedy})
		}
	}
	if err := printTable(cmd.OutOrStdout(), rows); err != nil || failed == 0 {
		return err
	}
	return errFault
}

func doctorCommand(e *endpoint) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Say what is wrong on this machine, and what to do",
		Long: `Recognise the rows of the published troubleshooting table on the running
agent, and say for each what to do.

Exit status 1: something was recognised.`,
		Example: "  KeeperAdminCLI doctor",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if asJSON {
				return e.pass(cmd, http.MethodGet, "/api/doctor", nil)
			}
			var found []view.Diagnosis
			if err := e.get(cmd.Context(), "/api/doctor", &found); err != nil {
				return err
			}
			if len(found) == 0 {
				_, err := fmt.Fprintln(cmd.OutOrStdout(), "nothing of the troubleshooting table is recognised")
				return err
			}
			var rows [][]string
			for _, d := range found {
				rows = append(rows, []string{oneLine(d.Symptom, d.Plugin)}, []string{"  " + d.Found}, []string{"  -> " + d.Remedy})
			}
			return errors.Join(printTable(cmd.OutOrStdout(), rows), errFault)
		},
	}
	jsonFlag(cmd, &asJSON)
	return cmd
}

func topicsCommand(e *endpoint) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "topics",
		Short:   "Show who may say and hear what on the bus, and what was refused lately",
		Example: "  KeeperAdminCLI topics\n  KeeperAdminCLI topics --json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if asJSON {
				return e.pass(cmd, http.MethodGet, "/api/topics", nil)
			}
			var t view.Topics
			if err := e.get(cmd.Context(), "/api/topics", &t); err != nil {
				return err
			}
			rows := [][]string{{"WHO", "KIND", "CONNECTED", "TOPIC", "MAY PUBLISH", "MAY SUBSCRIBE", "KEPT"}}
			for _, s := range t.Speakers {
				kept := ""
				if s.Keeps {
					kept = fmt.Sprint(s.Kept)
				}
				if s.KeptDropped > 0 {
					kept += fmt.Sprintf(" (%d dropped)", s.KeptDropped)
				}
				rows = append(rows, []string{s.Name, s.Kind, fmt.Sprint(s.Connections), s.Topic, strings.Join(s.Publish, " "), strings.Join(s.Subscribe, " "), kept})
			}
			refused := [][]string{{""}, {"REFUSED", "WHAT", "TOPIC", "TIMES", "REASON", "MISSING IN"}}
			for _, r := range t.Refusals {
				refused = append(refused, []string{r.Principal, r.Operation, r.Topic, fmt.Sprint(r.Count), r.Reason, r.Missing})
			}
			dropped := [][]string{{""}, {"DROPPED", "CAUSE", "WHY"}}
			for _, d := range t.Dropped {
				dropped = append(dropped, []string{fmt.Sprint(d.Messages), d.Cause, d.Why})
			}
			err := printTable(cmd.OutOrStdout(), rows)
			for _, table := range [][][]string{refused, dropped} {
				if err == nil && len(table) > 2 {
					err = printTable(cmd.OutOrStdout(), table)
				}
			}
			return err
		},
	}
	jsonFlag(cmd, &asJSON)
	return cmd
}
