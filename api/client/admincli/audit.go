package admincli

import "github.com/spf13/cobra"

func auditCommand(a *agent) *cobra.Command {
	return group(&cobra.Command{
		Use:   "audit",
		Short: "Verify and read the journal of elevations",
		Long: `Verify and read the journal of elevations.

The journal can be read by the service account only: run this as root. It needs
no running service.`,
	}, verifyCommand(a), tailCommand(a), listAuditCommand(a))
}
