package admincli

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"kpm/api/client/approvals"
	"kpm/core/span"
	"kpm/core/view"
)

func approvalsCommand(e *endpoint) *cobra.Command {
	deny := decideCommand(e, "deny", "Refuse a request", "One approver is enough. Whoever asked is told, with the comment.", false)
	return group(&cobra.Command{Use: "approvals", Short: "Show requests that wait for approval, and decide on them",
		Long: `Show requests that wait for approval, and decide on them.

Everybody sees their own and those that a policy names them an approver of;
administrators see all and may decide on all but their own.`},
		listApprovalsCommand(e), showApprovalCommand(e),
		decideCommand(e, "approve", "Agree to a request", "Where a policy wants several approvers, the last one lets it run: once, and exactly what was shown.", true),
		deny,
		decideCommand(e, "extend", "Let a request wait, or be run, for longer", "It is never shortened, and ends in any case (docs/approvals.md).", true),
		approvalKeyCommand(e), approvalCodeCommand())
}

func listApprovalsCommand(e *endpoint) *cobra.Command {
	return listCommand(e, "approvals", approvals.Path, "ID\tSTATE\tEXPIRES IN\tUSER\tAS\tCOMMAND", func(a view.Approval) []string {
		return []string{a.ID, approvals.State(&a), approvals.Left(&a), a.UserName, a.TargetUser, approvals.Command(e.Host("").Facts.Platform, &a)}
	})
}

func showApprovalCommand(e *endpoint) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "show ID", Short: "Show one approval with everything that an approver has to know",
		Example: "  KeeperAdminCLI approvals show K7QP-3M2X\n  KeeperAdminCLI approvals show --json k7qp3m2x",
		Args:    oneApproval,
		RunE: func(cmd *cobra.Command, args []string) error {
			if asJSON {
				return e.pass(cmd, "GET", approvals.One(args[0]), nil)
			}
			var a view.Approval
			if err := e.get(cmd.Context(), approvals.One(args[0]), &a); err != nil {
				return err
			}
			return printTable(cmd.OutOrStdout(), approvals.Details(e.Host("").Facts.Platform, &a))
		},
	}
	jsonFlag(cmd, &asJSON)
	return cmd
}

// decideCommand is verb done to an approval. timed verbs take a time.
func decideCommand(e *endpoint, verb, short, long string, timed bool) *cobra.Command {
	var asJSON bool
	var comment string
	var length string
	example := fmt.Sprintf("  KeeperAdminCLI approvals %s K7QP-3M2X --comment \"ticket 7\"", verb)
	cmd := &cobra.Command{
		Use: verb + " ID", Short: short, Long: short + ".\n\n" + long, Args: oneApproval,
		RunE: func(cmd *cobra.Command, args []string) error {
			minutes := 0
			if verb == "extend" {
				minutes = approvals.Most
			}
			if length != "" {
				by, err := span.Parse(length)
				if err != nil {
					return fmt.Errorf("--for %s is %w", length, err)
				}
				minutes = approvals.Minutes(by)
			}
			c, err := e.client()
			if err != nil {
				return err
			}
			defer c.Close()
			answer, err := approvals.Decide(cmd.Context(), c, args[0], verb, view.ApprovalAnswer{Comment: comment, ExpireIn: minutes})
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), answer)
			}
			var a view.Approval
			if err := json.Unmarshal(answer, &a); err != nil {
				return err
			}
			return printTable(cmd.OutOrStdout(), [][]string{{a.ID, approvals.State(&a), approvals.Left(&a)}})
		},
	}
	cmd.Flags().StringVarP(&comment, "comment", "m", "", "what whoever asked is told, and the journal keeps")
	if timed {
		example += fmt.Sprintf("\n  KeeperAdminCLI approvals %s K7QP-3M2X --for 2h", verb)
		cmd.Flags().StringVar(&length, "for", "", "for how long from now, such as 2h; as long as the settings allow, if that is less or it is left out")
	}
	cmd.Example = example
	jsonFlag(cmd, &asJSON)
	return cmd
}

func oneApproval(cmd *cobra.Command, args []string) error {
	if len(args) != 1 || args[0] == "" {
		return fmt.Errorf("which approval? %s ID; approvals list shows them", cmd.CommandPath())
	}
	return nil
}
