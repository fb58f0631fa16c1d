package main

import (
	"fmt"
	"log/slog"
	"os"

	"github.com/spf13/cobra"

	"kpm/launcher/rights"
	"kpm/platform"
	"kpm/service"
)

// rightsCommand is what is done to people's rights while no service runs.
func rightsCommand(dir *string) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rights",
		Short: "End or give back administrators' rights while the service does not run",
		Long: `End or give back administrators' rights while the service does not run.

While it runs it does so by itself: KeeperAdminCLI rights.`,
		Example: "  KeeperPrivilegeManager rights give-back",
	}
	cmd.AddCommand(&cobra.Command{
		Use:   "end-overdue",
		Short: "End rights that were given for a time that is over",
		Long: `End rights that were given for a time that is over.

The system runs this when such a time is over (on Linux a timer of systemd's), for
the case that the service does not run by then. The service's journal has it when
it runs again.`,
		Example: "  KeeperPrivilegeManager rights end-overdue",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := withoutService(*dir, func(b *rights.Book) error { return b.Overdue(cmd.Context()) })
			return err
		},
	}, &cobra.Command{
		Use:   "give-back",
		Short: "Put everybody in again whom policy has taken out of the groups of administrators",
		Long: `Put everybody in again whom policy has taken out of the groups of administrators,
end what was given for a time, and remove accounts that were made for one command.

It is for the time after the service was stopped for good; packages do it when they
are removed.`,
		Example: "  KeeperPrivilegeManager rights give-back",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			running, err := withoutService(*dir, func(b *rights.Book) error { return b.Everything(cmd.Context(), "the agent is removed") })
			if err == nil && running {
				err = fmt.Errorf("the service of %s runs, and would take it again: stop it first, or give it back to one person by KeeperAdminCLI rights return", *dir)
			}
			return err
		},
	})
	return cmd
}

func withoutService(dir string, do func(*rights.Book) error) (running bool, err error) {
	root, err := service.ResolveRoot(dir)
	if err != nil {
		return false, err
	}
	return service.WithoutService(platform.Tools(root), root, slog.New(slog.NewTextHandler(os.Stderr, nil)), do)
}
