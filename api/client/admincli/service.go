package admincli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"kpm/core/port"
)

// serviceTime bounds what the service manager may take for one wish.
const serviceTime = 90 * time.Second

// controlled is what the commands about the service print as JSON.
type controlled struct {
	Manager   string `json:"manager"`
	Installed bool   `json:"installed"`
	AtBoot    bool   `json:"atBoot"`
	State     string `json:"state"`
	PID       int    `json:"pid,omitempty"`
	Detail    string `json:"detail,omitempty"`
}

func serviceCommand(a *agent) *cobra.Command {
	return group(&cobra.Command{
		Use:   "service",
		Short: "Register the service with the system, start and stop it",
		Long: `Register the service with the system's service manager (systemd, the service
control manager of Windows, launchd), start it and stop it. Run this as root.

Commands that people have started go on when the service stops, and the next one
takes them over.`,
	},
		a.controlCommand("install", "Have the service started with the machine", "It is not started now. A package has done this already.", func(ctx context.Context, c port.ServiceControl) error {
			layout, err := a.layout()
			if err != nil {
				return err
			}
			return c.Install(ctx, layout.Root())
		}),
		a.controlCommand("uninstall", "Stop the service, and have it started no more", "Whom policy has taken out of the groups of administrators is put in again. Its\nfiles stay; a package is removed with the package manager.", func(ctx context.Context, c port.ServiceControl) error {
			if err := c.Uninstall(ctx); err != nil {
				return err
			}
			if a.GiveBack == nil {
				return nil
			}
			layout, err := a.layout()
			if err != nil {
				return err
			}
			return a.GiveBack(ctx, layout)
		}),
		a.controlCommand("start", "Start the service", "It returns when people can ask.", func(ctx context.Context, c port.ServiceControl) error { return c.Start(ctx) }),
		a.controlCommand("stop", "Stop the service", "Nobody can ask until it is started again; commands that run go on.", func(ctx context.Context, c port.ServiceControl) error { return c.Stop(ctx) }),
		a.controlCommand("status", "Say what the service manager knows of the service", `"KeeperAdminCLI status" says how the service itself is. Exit status 1: it does
not run, or is not started with the machine.`, nil))
}

// controlCommand does something, and says how the service is then.
func (a *agent) controlCommand(name, short, long string, do func(context.Context, port.ServiceControl) error) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: name, Short: short, Long: short + ".\n\n" + long,
		Example: "  KeeperAdminCLI service " + name + "\n  KeeperAdminCLI service " + name + " --json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, cancel := context.WithTimeout(cmd.Context(), serviceTime)
			defer cancel()
			control := a.Host("").Control
			if do != nil {
				if err := do(ctx, control); err != nil {
					return err
				}
			}
			found, err := control.Status(ctx)
			if err != nil {
				return err
			}
			if err := printControlled(cmd, found, asJSON); err != nil {
				return err
			}
			if do == nil && (found.State != port.ServiceRunning || !found.AtBoot) {
				return errFault
			}
			return nil
		},
	}
	jsonFlag(cmd, &asJSON)
	return cmd
}

func printControlled(cmd *cobra.Command, s port.ServiceStatus, asJSON bool) error {
	if asJSON {
		return printJSON(cmd.OutOrStdout(), controlled(s))
	}
	if !s.Installed {
		return line(cmd.OutOrStdout(), "%s does not know the service: KeeperAdminCLI service install", s.Manager)
	}
	text := s.State
	if s.PID != 0 {
		text += fmt.Sprintf(", process %d", s.PID)
	}
	boot := "not started with the machine"
	if s.AtBoot {
		boot = "started with the machine"
	}
	text += ", " + boot + " (" + s.Manager + ")"
	if s.Detail != "" {
		text += ": " + s.Detail
	}
	return line(cmd.OutOrStdout(), "%s", text)
}
