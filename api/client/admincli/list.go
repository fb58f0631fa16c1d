package admincli

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/spf13/cobra"
)

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
