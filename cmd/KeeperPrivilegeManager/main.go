// Command KeeperPrivilegeManager is the service: one per machine, started by
// the machine's service manager.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"github.com/spf13/cobra"

	"kpm/core/port"
	"kpm/platform"
	"kpm/platform/descriptors"
	"kpm/platform/rest"
	"kpm/platform/systemlog"
	"kpm/platform/turns"
	"kpm/service"
	"kpm/settings"
)

// version is set by the build (-ldflags "-X main.version=...").
var version = "0.1.0-dev"

// spareChildren are held ready, so that two people who ask at once, and a
// plugin that is restarted meanwhile, wait for no fork.
const spareChildren = 2

// Files that the service has open: some 90 once it is ready, 5 more for each plugin, and 6
// for each of the people who ask at once (Requests:MaxOpen). What a start does not need
// waits until it is over: for a moment, whoever waits for room keeps one of the
// processors that the runtime uses.
const filesAtStart, filesInCrowd = 128, 2048

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGQUIT)
	defer stop()
	// Without this a log whose reader has gone, such as the other end of a pipe,
	// would end the service in the middle of what it does. The other signals
	// that people send by habit do nothing to a Go program.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	if err := command().ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "KeeperPrivilegeManager:", err)
		stop()
		os.Exit(1)
	}
}

func command() *cobra.Command {
	root := &cobra.Command{
		Use:           "KeeperPrivilegeManager",
		Short:         "Run single privileged programs for people who are not administrators, as policy allows",
		Example:       "  KeeperPrivilegeManager run\n  KeeperPrivilegeManager defaults --root build/agent",
		Version:       version,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	var dir string
	root.PersistentFlags().StringVar(&dir, "root", settings.DefaultRoot(), "agent root")
	root.AddCommand(&cobra.Command{
		Use:   "run",
		Short: "Run the service until it is told to stop",
		Long: `Run the service in the foreground until SIGTERM, SIGQUIT or Ctrl-C.

It says that it is ready by writing run/ports.json, and on a terminal in words,
and logs to standard error. Commands that it started for people go on when it
stops. SIGHUP has it read its settings, job files, settings of plugins and
policies again; the log says what changed and what waits for a restart.`,
		Example: "  KeeperPrivilegeManager run\n  KeeperPrivilegeManager run --root /srv/agent",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return run(cmd.Context(), dir, foreground)
		},
	}, &cobra.Command{
		Use:     "defaults",
		Short:   "Write the default plugin and job files that the root lacks",
		Example: "  KeeperPrivilegeManager defaults --root build/agent",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			written, err := service.WriteDefaults(dir)
			for _, path := range written {
				fmt.Fprintln(cmd.OutOrStdout(), path)
			}
			return err
		},
	})
	root.AddCommand(rightsCommand(&dir))
	root.AddCommand(systemCommands(&dir)...)
	return root
}

// terminal returns f if a person is at its other end.
func terminal(f *os.File) io.Writer {
	if info, err := f.Stat(); err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return nil
	}
	return f
}

// setting is what surrounds a service.
type setting struct {
	log, notice io.Writer
	// adapt, if not nil, changes the ports.
	adapt func(*port.Host)
	// sessions says that somebody may have logged in or out; nil never does.
	sessions <-chan struct{}
}

// sudoName is who the system's log has lines about elevations from.
const sudoName = "keepersudo"

func systemLog() (service.SystemLog, error) {
	log, err := systemlog.OpenAuthorization(sudoName)
	if err != nil {
		return nil, err
	}
	return log, nil
}

// foreground is a service that somebody started by hand, or by a manager that
// takes standard error.
var foreground = setting{log: levelled(os.Stderr, systemlog.Reads(os.Stderr)), notice: terminal(os.Stderr)}

// run opens this machine's ports and serves on them.
func run(ctx context.Context, dir string, in setting) error {
	var beside sync.WaitGroup
	defer beside.Wait()
	beside.Go(func() { descriptors.Room(filesAtStart) })
	turns.Short()
	pace := new(rest.Pace)
	pace.Work()
	root, err := service.ResolveRoot(dir)
	if err != nil {
		return err
	}
	files, err := platform.Prepare(root)
	if err != nil {
		return err
	}
	ports := func() (port.Host, error) {
		host, err := platform.New(platform.Options{
			AgentRoot: root, Helper: settings.At(root, "").Helper(), Spare: spareChildren, Ends: settings.At(root, "").Ends(),
		})
		if err == nil && in.adapt != nil {
			in.adapt(&host)
		}
		return host, err
	}
	reload := make(chan os.Signal, 1)
	signal.Notify(reload, syscall.SIGHUP)
	return service.Run(ctx, service.Options{
		Root: root, Files: files, Ports: ports, Version: version, Log: in.log, Reload: reload, SessionsChanged: in.sessions, Notice: in.notice, SystemLog: systemLog, Sparing: true, Pace: pace,
		Served: func() { descriptors.Room(filesInCrowd) },
	})
}
