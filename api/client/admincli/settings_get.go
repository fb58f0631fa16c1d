package admincli

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"kpm/core/view"
	"kpm/core/wire"
)

func getSettingsCommand(e *endpoint) *cobra.Command {
	var asJSON, explain bool
	cmd := &cobra.Command{
		Use:   "get PLUGIN [KEY]",
		Short: "Show the effective settings of a plugin",
		Long: `Show the effective settings of a plugin, all or one.

KeeperPrivilegeManager is the service's own set.`,
		Example: "  KeeperAdminCLI settings get KeeperPrivilegeManager\n  KeeperAdminCLI settings get KeeperPolicy policy.enforceForAdministrators\n  KeeperAdminCLI settings get KeeperLogger --explain",
		Args:    cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			path := "/api/PluginSettings"
			for i, arg := range args {
				if arg == "" {
					return fmt.Errorf("%s is empty, expected a name", [...]string{"PLUGIN", "KEY"}[i])
				}
				path += "/" + url.PathEscape(arg)
			}
			if explain && len(args) == 2 {
				return errors.New("--explain is for all settings of a plugin: leave KEY out")
			}
			if explain {
				path += "?explain=true"
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
			if explain {
				return e.explainSettings(cmd, path)
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
	cmd.Flags().BoolVar(&explain, "explain", false, "say where each value comes from")
	return cmd
}

func (e *endpoint) explainSettings(cmd *cobra.Command, path string) error {
	var all map[string]view.Setting
	if err := e.get(cmd.Context(), path, &all); err != nil {
		return err
	}
	rows := [][]string{{"KEY", "VALUE", "FROM", "BY"}}
	for _, key := range slices.Sorted(maps.Keys(all)) {
		s := all[key]
		value, by := s.Value, s.File
		if s.Secret {
			value = "(secret)"
		}
		if s.By != "" {
			by = s.By + " " + s.At.Local().Format(time.DateTime)
		}
		rows = append(rows, []string{key, value, s.Source, by})
	}
	return printTable(cmd.OutOrStdout(), rows)
}
