package admincli

import "github.com/spf13/cobra"

func trustCommand(a *agent) *cobra.Command {
	return group(&cobra.Command{
		Use:   "trust",
		Short: "See who vouches for a file, and look after the key by which this machine vouches for itself",
	}, keyStatusCommand(a), enrollCommand(a), rotateCommand(a), inspectCommand(a))
}
