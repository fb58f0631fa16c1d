package admincli

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"kpm/core/port"
)

// switched is what enable and disable print as JSON.
type switched struct {
	Way     string
	Enabled bool
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

uac, on Windows: people who are no administrators are refused by User Account
Control instead of being asked for an administrator's password, by Windows' own
policy for that. Administrators are asked as before, and are the way out.

Run this as root or, on Windows, as an administrator.`, true, port.Interception.Enable)
}

func disableCommand(a *agent) *cobra.Command {
	return a.switchCommand("disable", "Undo what enable did", `Undo what enable did. This needs no running service, and removes
nothing that enable has not made. The system's log has a line about it, as it
has about enable.

exec: programs are not stopped before they run any more, at once and whatever
the settings say, until enable.

Run this as root or, on Windows, as an administrator.`, false, port.Interception.Disable)
}

func (a *agent) switchCommand(name, short, long string, enabled bool, do func(port.Interception, context.Context, string) error) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: name + " WAY", Short: short, Long: long,
		Example: "  KeeperAdminCLI interception " + name + " sudo\n  KeeperAdminCLI interception " + name + " sudo --json",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			layout, err := a.layout()
			// To undo sudo or uac nothing is read in the agent root and nothing is
			// written there, and what is wrong with it must not keep anybody from that:
			// not who removes the agent either.
			if err != nil && (enabled || args[0] == "exec") {
				return err
			}
			if err := do(a.Host(layout.Root()).Interception, cmd.Context(), args[0]); err != nil {
				return err
			}
			a.record(cmd.ErrOrStderr(), name+" "+args[0]+": "+state(args[0], enabled))
			if asJSON {
				return printJSON(cmd.OutOrStdout(), switched{args[0], enabled})
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), state(args[0], enabled))
			return err
		},
	}
	jsonFlag(cmd, &asJSON)
	return cmd
}

// record has the system's log say what was switched: it is the way out of policy, and
// the agent's own journal is the service's, which need not run. A log that is away keeps
// nobody from the way out.
func (a *agent) record(diagnostics io.Writer, line string) {
	if a.Record == nil {
		return
	}
	if err := a.Record("interception " + line); err != nil {
		fmt.Fprintln(diagnostics, "KeeperAdminCLI: the system's log does not have it:", strings.ReplaceAll(err.Error(), "\n", "; "))
	}
}

// state says what a way leads to from now on.
func state(way string, enabled bool) string {
	switch {
	case way == "exec" && enabled:
		return "programs are decided about before they run if Interception:Executions is true, from the service's next reload on"
	case way == "exec":
		return "programs are not stopped before they run until this is enabled"
	case !enabled:
		return way + " is the system's own"
	case way == "uac":
		return "uac is refused to people who are no administrators: they have \"Run with Keeper\" and keepersudo"
	}
	return way + " is keepersudo: shells that were open before may need \"hash -r\""
}
