package admincli

import (
	"strings"

	"github.com/spf13/cobra"

	"kpm/core/view"
)

func reloadCommand(e *endpoint) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "reload",
		Short: "Have the service read all its files again",
		Long: `Have the service read settings, jobs, plugins and policies again. It returns when
they are in force: whoever asks for an elevation afterwards is decided on by them.
Nothing that runs is ended. The service notices most changes by itself, a moment
later.

Exit status 1: something cannot be used, and is as it was before.`,
		Example: "  KeeperAdminCLI reload\n  KeeperAdminCLI reload --json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var done view.Reloaded
			if err := e.post(cmd.Context(), "/api/system/reload", nil, &done); err != nil {
				return err
			}
			if err := printReloaded(cmd, done, asJSON); err != nil {
				return err
			}
			if len(done.Problems)+len(done.Plugins.Broken) > 0 {
				return errFault
			}
			return nil
		},
	}
	jsonFlag(cmd, &asJSON)
	return cmd
}

func printReloaded(cmd *cobra.Command, done view.Reloaded, asJSON bool) error {
	if asJSON {
		return printJSON(cmd.OutOrStdout(), done)
	}
	var rows [][]string
	for _, r := range append([]row{
		{"settings changed", done.Settings}, {"after a restart", done.RestartRequired}, {"jobs changed", done.Jobs},
	}, pluginRows(done.Plugins)...) {
		if len(r.names) > 0 {
			rows = append(rows, []string{r.what, strings.Join(r.names, ", ")})
		}
	}
	for _, p := range done.Problems {
		rows = append(rows, []string{"not in force", p})
	}
	if len(rows) == 0 {
		rows = [][]string{{"all is in force, and settings, jobs and plugins are as before"}}
	}
	return printTable(cmd.OutOrStdout(), rows)
}

// row is what was done to some things, by name.
type row struct {
	what  string
	names []string
}

func pluginRows(done view.PluginsReloaded) []row {
	rows := []row{
		{"plugins added", done.Added}, {"plugins removed", done.Removed},
		{"plugins restarted", done.Restarted}, {"plugin settings changed", done.Settings},
	}
	for id, why := range done.Broken {
		rows = append(rows, row{"plugin broken", []string{id + ": " + why}})
	}
	return rows
}
