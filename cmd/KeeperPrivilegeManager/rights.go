package main

import (
	"errors"
	"fmt"
	"log/slog"
	"os"

	"github.com/spf13/cobra"

	"kpm/core/port"
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
			return withoutService(*dir, func(host port.Host, root string, log *slog.Logger) error {
				return service.EndOverdue(cmd.Context(), host, root, log)
			})
		},
	}, &cobra.Command{
		Use:   "give-back",
		Short: "Put everybody in again whom policy has taken out of the groups of administrators",
		Long: `Put everybody in again whom policy has taken out of the groups of administrators,
end what was given for a time, and remove accounts that were made for one command:
what still runs as them is ended. The access control lists of files that policy kept
people from are as they were.

It is for the time after the service was stopped for good; packages do it when they
are removed.`,
		Example: "  KeeperPrivilegeManager rights give-back",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			err := withoutService(*dir, func(host port.Host, root string, log *slog.Logger) error {
				return service.GiveBack(cmd.Context(), host, root, log)
			})
			if errors.Is(err, service.ErrRuns) {
				err = fmt.Errorf("%w, and would take it again: stop it first, or give it back to one person by KeeperAdminCLI rights return", err)
			}
			return err
		},
	})
	return cmd
}

// withoutService does something to an agent root whose service does not run.
func withoutService(dir string, do func(host port.Host, root string, log *slog.Logger) error) error {
	root, err := service.ResolveRoot(dir)
	if err != nil {
		return err
	}
	return do(platform.Tools(root), root, slog.New(slog.NewTextHandler(os.Stderr, nil)))
}
