package main

import "github.com/spf13/cobra"

func trustCommand(o *options) *cobra.Command {
	return group(&cobra.Command{
		Use:   "trust",
		Short: "See who vouches for a file, and look after the key by which this machine vouches for itself",
	}, append(identityCommands(o), inspectCommand(o))...)
}
