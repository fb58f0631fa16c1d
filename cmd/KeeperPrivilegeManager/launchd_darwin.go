package main

import (
	"github.com/spf13/cobra"

	"kpm/platform/darwin/tool"
)

// systemCommands are the commands that one system has.
func systemCommands(dir *string) []*cobra.Command {
	return []*cobra.Command{{
		Use:   "launchd",
		Short: "Print what launchd is to know about the service",
		Long: `Print the service's description for launchd. It belongs in
` + tool.DaemonFile + `,
owned by root:wheel and writable by nobody else.`,
		Example: "  KeeperPrivilegeManager launchd >" + tool.DaemonFile + "\n  launchctl bootstrap system " + tool.DaemonFile,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := cmd.OutOrStdout().Write(tool.Daemon(*dir))
			return err
		},
	}}
}
