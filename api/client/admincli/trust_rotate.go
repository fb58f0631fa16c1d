package admincli

import (
	"fmt"

	"github.com/spf13/cobra"

	"kpm/trust/identity"
)

func rotateCommand(a *agent) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "rotate",
		Short: "Make a new machine key in place of the current one",
		Long: `Make a new machine key in place of the current one, where Settings:KeyStore
says. It is the remedy when trust status says that the key cannot be used, as
after the TPM was cleared.

The old private key is removed; its public key is kept, for verifying what it
signed. An issued certificate goes with its key: enroll again. Sealed secrets
stay readable, unless the TPM was cleared or exchanged. A service that runs signs
with the new key from its next checkpoint on.

Run this as root.`,
		Example: "  KeeperAdminCLI trust rotate\n  KeeperAdminCLI trust rotate --json --root /srv/agent",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			k, err := a.machineKey()
			if err != nil {
				return err
			}
			if err := k.prepare(); err != nil {
				return err
			}
			if err := identity.Rotate(cmd.Context(), k.Config); err != nil {
				return err
			}
			s, err := identity.Inspect(cmd.Context(), k.Config)
			if err != nil {
				return err
			}
			if err := printIdentity(cmd.OutOrStdout(), s, asJSON); err != nil || asJSON {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), "a service that runs signs with the new key from its next checkpoint on")
			return err
		},
	}
	jsonFlag(cmd, &asJSON)
	return cmd
}
