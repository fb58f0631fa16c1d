package admincli

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"kpm/core/wire"
	"kpm/trust/identity"
)

func keyStatusCommand(a *agent) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Say whether this machine can sign, and with which key",
		Long: `Say whether this machine can sign: where its key is, whether it works, what its
certificate is worth, and what is to be done. The key signs once to find out.

Assurance tpm means that the key cannot leave the TPM, software that it is a
file. Run this as root. It needs no running service. The exit status is 1 if
there is anything to fix.`,
		Example: "  KeeperAdminCLI trust status\n  KeeperAdminCLI trust status --json --root /srv/agent",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			k, err := a.machineKey()
			if err != nil {
				return err
			}
			s, err := identity.Inspect(cmd.Context(), k.Config)
			if err != nil {
				return err
			}
			if err := printIdentity(cmd.OutOrStdout(), s, asJSON); err != nil {
				return err
			}
			if s.State != identity.Ready || len(s.Problems) > 0 {
				return errFault
			}
			return nil
		},
	}
	jsonFlag(cmd, &asJSON)
	return cmd
}

func printIdentity(w io.Writer, s identity.Status, asJSON bool) error {
	if asJSON {
		return printJSON(w, s)
	}
	var b strings.Builder
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&b, "%-13s %s\n", name, wire.Printable(value)) // a TPM's words are whoever's is on its bus
		}
	}
	line("machine key", s.State)
	line("assurance", string(s.Assurance))
	line("key id", s.KeyID)
	if !s.Made.IsZero() {
		line("made", s.Made.Local().Format(time.DateTime))
	}
	line("device", s.Device)
	if t := s.TPM; t != nil {
		line("tpm", fmt.Sprintf("%s %s, firmware %s, specification %s", t.Manufacturer, t.Vendor, t.Firmware, t.Revision))
	}
	line("sealed under", s.SealedUnder)
	if c := s.Certificate; c != nil {
		line("certificate", c.Subject)
		issuer := c.Issuer
		if !c.Issued {
			issuer = "the machine itself"
		}
		line("issued by", issuer)
		line("valid", fmt.Sprintf("%s to %s, %d days left", c.NotBefore.Local().Format(time.DateTime), c.NotAfter.Local().Format(time.DateTime), c.DaysLeft))
	}
	for _, id := range s.Retired {
		line("earlier key", id)
	}
	for _, note := range s.Notes {
		line("note", note)
	}
	for _, problem := range s.Problems {
		line("PROBLEM", problem)
	}
	_, err := io.WriteString(w, b.String())
	return err
}
