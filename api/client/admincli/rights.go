package admincli

import (
	"net/http"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"kpm/core/view"
)

func rightsCommand(e *endpoint) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rights",
		Short: "Show and give back what LeastPrivilege policies have taken",
		Long: `Show and give back what LeastPrivilege policies have taken: people's places in the
machine's groups of administrators.

An administrator is shown everybody's, anybody else their own.`,
		Example: "  KeeperAdminCLI rights list\n  KeeperAdminCLI rights return ada\n  KeeperAdminCLI rights resume ada",
	}
	cmd.AddCommand(listRightsCommand(e),
		changeRightsCommand(e, "return USER", "Give somebody back what policy has taken",
			"Policy leaves it to them from then on, until \"rights resume\".", "ada", "return"),
		changeRightsCommand(e, "resume USER", "Have policy take again what was given back",
			"It is taken at once if a policy still wants it.", "ada", "resume"),
		changeRightsCommand(e, "check", "Compare the groups of administrators with policy now",
			"It is done by itself after policies have changed, and once a minute\n(Rights:CheckSeconds).", "", "check"))
	return cmd
}

func listRightsCommand(e *endpoint) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List who was taken out of the groups of administrators, or is in them for a time",
		Example: "  KeeperAdminCLI rights list\n  KeeperAdminCLI rights list --json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if asJSON {
				return e.pass(cmd, http.MethodGet, "/api/rights", nil)
			}
			var list view.Rights
			if err := e.get(cmd.Context(), "/api/rights", &list); err != nil {
				return err
			}
			rows := [][]string{{"USER", "GROUP", "WHAT", "SINCE", "BY"}}
			add := func(places []view.Place, what string, by func(view.Place) string) {
				for _, p := range places {
					shown := what
					if p.Until != nil {
						shown += " " + p.Until.Local().Format(time.DateTime)
					}
					rows = append(rows, []string{p.User, p.Group, shown, p.At.Local().Format(time.DateTime), by(p)})
				}
			}
			policies := func(p view.Place) string {
				text := ""
				for i, ref := range p.Policies {
					if i > 0 {
						text += ", "
					}
					text += ref.ID
				}
				return text
			}
			add(list.Taken, "taken", policies)
			add(list.Given, "given until", policies)
			add(list.Spared, "given back", func(p view.Place) string { return p.By })
			return printTable(cmd.OutOrStdout(), rows)
		},
	}
	jsonFlag(cmd, &asJSON)
	return cmd
}

// changeRightsCommand posts to one of the routes that change something.
func changeRightsCommand(e *endpoint, use, short, long, example, route string) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: use, Short: short, Long: short + ".\n\n" + long,
		Example: "  KeeperAdminCLI rights " + route,
		Args:    cobra.NoArgs,
	}
	if example != "" {
		cmd.Args, cmd.Example = cobra.ExactArgs(1), cmd.Example+" "+example
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		path := "/api/rights/" + route
		if len(args) == 1 {
			path = "/api/rights/" + url.PathEscape(args[0]) + "/" + route
		}
		var done view.RightsChecked
		if err := e.ask(cmd.Context(), http.MethodPost, path, nil, &done); err != nil {
			return err
		}
		if asJSON {
			return printJSON(cmd.OutOrStdout(), done)
		}
		return line(cmd.OutOrStdout(), "done")
	}
	jsonFlag(cmd, &asJSON)
	return cmd
}
