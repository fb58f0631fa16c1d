package admincli

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"kpm/core"
	"kpm/core/span"
	"kpm/core/view"
	"kpm/core/wire"
)

func fileGrantsCommand(e *endpoint) *cobra.Command {
	var execution bool
	cmd := &cobra.Command{
		Use:   "filegrants",
		Short: "Show, give and end access to files for a time",
		Long: `Show, give and end access to files for a time (keepersudo --file-access).

An administrator is shown everybody's grants, anybody else their own. With
--execution it is about leave to start programs.`,
		Example: `  KeeperAdminCLI filegrants list
  KeeperAdminCLI filegrants give ann /srv/payroll/list --for 30m
  KeeperAdminCLI filegrants revoke RQ3Z6PJ4NCVX5YTH2KLMW7DSAE
  KeeperAdminCLI filegrants files`,
	}
	path := func() string {
		if execution {
			return "/api/executiongrants"
		}
		return "/api/filegrants"
	}
	cmd.PersistentFlags().BoolVar(&execution, "execution", false, "grants to start programs instead of those for data files")
	cmd.AddCommand(listFileGrantsCommand(e, path), giveFileGrantCommand(e, path), revokeFileGrantCommand(e, path), keptFilesCommand(e))
	return cmd
}

func listFileGrantsCommand(e *endpoint, path func() string) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List grants",
		Long:    "List grants, with the time that each has left.",
		Example: "  KeeperAdminCLI filegrants list\n  KeeperAdminCLI filegrants list --json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var list []view.FileGrant
			if err := e.ask(cmd.Context(), http.MethodGet, path(), nil, &list); err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), list)
			}
			rows := [][]string{{"ID", "USER", "LEFT", "GIVEN BY", "FILE"}}
			for _, g := range list {
				rows = append(rows, []string{g.ID, g.User, span.Text(time.Duration(g.SecondsLeft) * time.Second), g.GivenBy, wire.PrintableLine(g.FilePath)})
			}
			return printTable(cmd.OutOrStdout(), rows)
		},
	}
	jsonFlag(cmd, &asJSON)
	return cmd
}

func giveFileGrantCommand(e *endpoint, path func() string) *cobra.Command {
	var asJSON bool
	var length string
	cmd := &cobra.Command{
		Use:   "give USER FILE",
		Short: "Give a user access to a file",
		Long: `Give a user, a name or #ID, access to a file, given by its absolute path.

It takes an administrator. A policy that denies the file to the user stays in
force, and the command says so. A file that others than root could exchange for
another is refused.`,
		Example: "  KeeperAdminCLI filegrants give ann /srv/payroll/list --for 30m",
		Args:    cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			body := map[string]any{"UserName": args[0], "FilePath": args[1]}
			if length != "" {
				d, err := span.Parse(length)
				if err != nil {
					return fmt.Errorf("--for %s is %w", length, err)
				}
				body["DurationMinutes"] = max(1, int(d/time.Minute))
			}
			text, err := json.Marshal(body)
			if err != nil {
				return err
			}
			var given view.FileGrant
			if err := e.post(cmd.Context(), path(), text, &given); err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), given)
			}
			return line(cmd.OutOrStdout(), "%s: %s has access to %s for %s", given.ID, given.User, wire.PrintableLine(given.FilePath), span.Text(time.Duration(given.SecondsLeft)*time.Second))
		},
	}
	cmd.Flags().StringVar(&length, "for", "", "for how long, such as 30m or 2h, at most 24h; 4h if it is left out")
	jsonFlag(cmd, &asJSON)
	return cmd
}

func revokeFileGrantCommand(e *endpoint, path func() string) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "revoke ID...",
		Short:   "End grants",
		Long:    "End grants: who held them is kept from the file again. What has it open keeps it open.",
		Example: "  KeeperAdminCLI filegrants revoke RQ3Z6PJ4NCVX5YTH2KLMW7DSAE",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			for _, id := range args {
				var revoked view.GrantRevoked
				if err := e.ask(cmd.Context(), http.MethodDelete, path()+"/"+url.PathEscape(id), nil, &revoked); err != nil {
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

func keptFilesCommand(e *endpoint) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "files",
		Short: "Show who is kept from which files",
		Long: `Show which files have access control lists with entries of the agent's: whom they
keep out, who holds a grant, and which policies about files cannot be kept.

It takes an administrator.`,
		Example: "  KeeperAdminCLI filegrants files\n  KeeperAdminCLI filegrants files --json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var a view.FileAccess
			if err := e.ask(cmd.Context(), http.MethodGet, "/api/fileaccess", nil, &a); err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), a)
			}
			rows := [][]string{{"DENIED TO", "GRANTED TO", "FILE", "FAULT"}}
			for _, f := range a.Files {
				rows = append(rows, []string{users(f.Denied), users(f.Granted), f.FilePath, f.Fault})
			}
			if err := printTable(cmd.OutOrStdout(), rows); err != nil {
				return err
			}
			for _, p := range a.Problems {
				if err := line(cmd.OutOrStdout(), "policy %s is not kept: %s %s", p.Policy.ID, p.FilePath, p.Why); err != nil {
					return err
				}
			}
			return nil
		},
	}
	jsonFlag(cmd, &asJSON)
	return cmd
}

// users are ids on one line.
func users(ids []core.UserID) string {
	texts := make([]string, len(ids))
	for i, id := range ids {
		texts[i] = "#" + string(id)
	}
	return strings.Join(texts, " ")
}
