package admincli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"kpm/core/port"
)

// switched is what enable and disable print as JSON.
type switched struct {
	Way     string
	Enabled bool
}

// states are what people are told about each way once it is on or off.
var states = map[string]map[bool]string{
	"sudo": {true: `keepersudo: shells that were open before may need "hash -r"`, false: "the system's own"},
	"exec": {true: "decided about if Interception:Executions is true, from the service's next reload on", false: "not decided about, until it is enabled"},
}

func interceptionCommand(a *agent) *cobra.Command {
	return group(&cobra.Command{Use: "interception", Short: "Put the system's own ways to become an administrator under policy"},
		enableCommand(a), disableCommand(a))
}

func enableCommand(a *agent) *cobra.Command {
	return a.switchCommand("enable", "Put a way to become an administrator under policy", `Put a way to become an administrator under policy.

sudo: plain "sudo" leads to keepersudo from now on, by a link in /usr/local/bin.
The system's own sudo stays as it is: /usr/bin/sudo is the way out, for whom
sudoers allows it, and so is root's own shell.

exec: undoes disable. Programs are stopped before they run if the setting
Interception:Executions is true, from the service's next reload on.

Run this as root.`, true, port.Interception.Enable)
}

func disableCommand(a *agent) *cobra.Command {
	return a.switchCommand("disable", "Undo what enable did", `Undo what enable did. This needs no running service, and removes
nothing that enable has not made.

exec: programs are not stopped before they run any more, at once and whatever
the settings say, until enable.

Run this as root.`, false, port.Interception.Disable)
}

func (a *agent) switchCommand(name, short, long string, enabled bool, do func(port.Interception, context.Context, string) error) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: name + " WAY", Short: short, Long: long,
		Example: "  KeeperAdminCLI interception " + name + " sudo\n  KeeperAdminCLI interception " + name + " sudo --json",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			layout, err := a.layout()
			if err != nil {
				return err
			}
			if err := do(a.Host(layout.Root()).Interception, cmd.Context(), args[0]); err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), switched{args[0], enabled})
			}
			state := states[args[0]][enabled]
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s is %s\n", args[0], state)
			return err
		},
	}
	jsonFlag(cmd, &asJSON)
	return cmd
}
