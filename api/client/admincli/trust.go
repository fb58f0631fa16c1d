package admincli

import "github.com/spf13/cobra"

func trustCommand(a *agent) *cobra.Command {
	return group(&cobra.Command{
		Use:   "trust",
		Short: "See who has signed a file, and manage the key with which this machine signs",
	}, keyStatusCommand(a), enrollCommand(a), rotateCommand(a), inspectCommand(a))
}
