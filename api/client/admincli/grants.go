package admincli

import (
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"kpm/core/span"
	"kpm/core/view"
	"kpm/core/wire"
)

func grantsCommand(e *endpoint) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "grants",
		Short: "Show and end what people need not be asked again for a time",
		Long: `Show and end what people need not be asked again for a time (keepersudo --for).

An administrator is shown everybody's grants, anybody else their own.`,
		Example: "  KeeperAdminCLI grants list\n  KeeperAdminCLI grants revoke RQ3Z6PJ4NCVX5YTH2KLMW7DSAE",
	}
	cmd.AddCommand(listGrantsCommand(e), revokeGrantCommand(e))
	return cmd
}

func listGrantsCommand(e *endpoint) *cobra.Command {
	return listCommand(e, "grants", "/api/grants", "ID\tUSER\tAS\tLEFT\tUSES\tPOLICY\tFROM\tWHAT", func(g view.Grant) []string {
		uses, what := "any", g.Command
		if g.UsesLeft != nil {
			uses = strconv.Itoa(*g.UsesLeft)
		}
		if what == "" {
			what = "all that the policy is about"
		}
		return []string{g.ID, g.User, g.Target, span.Text(time.Duration(g.SecondsLeft) * time.Second), uses, g.Policy.ID, g.From, wire.PrintableLine(what)}
	})
}

func revokeGrantCommand(e *endpoint) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "revoke ID...",
		Short: "End grants",
		Long: `End grants: what policy asks for is asked again from then on. Commands that run
go on.`,
		Example: "  KeeperAdminCLI grants revoke RQ3Z6PJ4NCVX5YTH2KLMW7DSAE",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			for _, id := range args {
				var revoked view.GrantRevoked
				if err := e.ask(cmd.Context(), http.MethodDelete, "/api/grants/"+url.PathEscape(id), nil, &revoked); err != nil {
					return err
				}
				say := func() error { return line(cmd.OutOrStdout(), "%s has ended", revoked.ID) }
				if asJSON {
					say = func() error { return printJSON(cmd.OutOrStdout(), revoked) }
				}
				if err := say(); err != nil {
					return err
				}
			}
			return nil
		},
	}
	jsonFlag(cmd, &asJSON)
	return cmd
}
