package admincli

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"

	"github.com/spf13/cobra"

	"kpm/core/wire"
)

func getSettingsCommand(e *endpoint) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "get PLUGIN [KEY]",
		Short: "Show the effective settings of a plugin",
		Long: `Show the effective settings of a plugin, all or one.

KeeperPrivilegeManager is the service's own set.`,
		Example: "  KeeperAdminCLI settings get KeeperPrivilegeManager\n  KeeperAdminCLI settings get KeeperPolicy policy.enforceForAdministrators",
		Args:    cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			path := "/api/PluginSettings"
			for i, arg := range args {
				if arg == "" {
					return fmt.Errorf("%s is empty, expected a name", [...]string{"PLUGIN", "KEY"}[i])
				}
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
