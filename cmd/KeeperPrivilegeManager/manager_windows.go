package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"kpm/core/port"
	"kpm/platform/windows"
)

// uninstallTime is how long a service may take to stop before it is removed.
const uninstallTime = time.Minute

// systemCommands are the commands that one system has: those about the service
// control manager.
func systemCommands(dir *string) []*cobra.Command {
	return []*cobra.Command{{
		Use:   "install",
		Short: "Register the service with the service control manager",
		Long: `Register this program as the service KeeperPrivilegeManager, which starts with
the machine as LocalSystem and is started again when it ends by itself. It is
not started now: sc.exe start KeeperPrivilegeManager does that.`,
		Example: "  KeeperPrivilegeManager install",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			program, err := os.Executable()
			if err != nil {
				return err
			}
			root, err := filepath.Abs(*dir)
			if err != nil {
				return err
			}
			return windows.Install(program, "service", "--root", root)
		},
	}, {
		Use:     "uninstall",
		Short:   "Stop the service and remove it from the service control manager",
		Long:    "Stop the service and remove it from the service control manager. Its files\nstay: remove the agent root by hand.",
		Example: "  KeeperPrivilegeManager uninstall",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, cancel := context.WithTimeout(cmd.Context(), uninstallTime)
			defer cancel()
			return windows.Uninstall(ctx)
		},
	}, {
		Use:     "service",
		Short:   "Run the service as the service control manager starts it",
		Example: "  sc.exe start KeeperPrivilegeManager",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return windows.Serve(func(ctx context.Context, c *windows.Control) error { return serve(ctx, *dir, c) })
		},
	}}
}

// serve runs the service for the service control manager. What it says goes to the
// event log: nobody reads its standard error.
func serve(ctx context.Context, dir string, c *windows.Control) error {
	events, err := windows.OpenEventLog()
	if err != nil {
		return err
	}
	in := setting{log: events, sessions: c.Sessions(), adapt: func(host *port.Host) { host.Service = windows.ServiceManager{Control: c} }}
	// Whoever has registered the service may have left it out.
	if err := windows.Settle(); err != nil {
		fmt.Fprintf(events, "level=WARN msg=%q error=%q\n", "the service control manager was not told what to do when the service ends", err)
	}
	err = run(ctx, dir, in)
	if err != nil {
		fmt.Fprintf(events, "level=ERROR msg=%q error=%q\n", "the service has ended", err)
	}
	return errors.Join(err, events.Close())
}
