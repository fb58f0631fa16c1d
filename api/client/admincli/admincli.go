// Package admincli holds the commands of KeeperAdminCLI: what they ask, of the
// running service or of the agent root's files, and how they print the answer.
//
// It decides nothing about requests, and touches no file of the service's but
// those of the machine key. How the service is reached is package client's.
package admincli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/spf13/cobra"

	"kpm/api/client"
	"kpm/core/port"
	"kpm/core/view"
	"kpm/core/wire"
	"kpm/settings"
)

// Exit codes.
const (
	exitOK    = 0
	exitFault = 1 // what was asked about is not as it should be
	exitUsage = 2 // the question could not be understood, or not be answered
)

// errFault ends a command that has printed the fault it found.
var errFault = errors.New("fault found")

// Config is what the commands need of the build and the operating system. All
// fields are required.
type Config struct {
	Version string
	// Program is where this program lies, without links; empty if that is not
	// known. An agent whose root that is, is the one that commands are about.
	Program string
	// Host returns the ports for an agent root, which may be empty while it is
	// not known yet. None of them starts anything.
	Host func(root string) port.Host
	// Policies reads policy files. What is wrong with them is in the set's review.
	Policies func(PolicyFiles) PolicySet
	// Jobs returns what checks job files as the service of this agent would. The
	// error is that of a folder that cannot be read.
	Jobs func(settings.Layout) (JobChecker, error)
	// GiveBack gives back the rights that the service of an agent has taken, after it
	// was stopped; nil where that is not this program's to do.
	GiveBack func(context.Context, settings.Layout) error
	// Record writes a line to the system's own log, where what was let do to whom is;
	// nil where nothing is to be written.
	Record func(line string) error
}

// JobChecker checks one job as its file {fileID}.json would be; jobs.Checker is one.
// The error is a *fault.Fault or a fault.List.
type JobChecker interface {
	Check(fileID string, body []byte) (view.JobValidated, error)
}

// Run runs the command line args and returns the exit code. It ends early when
// ctx is done: exitUsage, since the answer was not had, unless all that it was to
// do was to go on until then.
func Run(ctx context.Context, args []string, stdout, stderr io.Writer, cfg Config) int {
	cmd := Command(cfg)
	cmd.SetArgs(args)
	cmd.SetOut(stdout)
	cmd.SetErr(stderr)
	strict(cmd)
	switch err := cmd.ExecuteContext(ctx); {
	case err == nil:
		return exitOK
	case errors.Is(err, errFault):
		return exitFault
	case ctx.Err() != nil && errors.Is(err, ctx.Err()):
		fmt.Fprintln(stderr, "KeeperAdminCLI: interrupted, the answer was not had")
		return exitUsage
	case errors.Is(err, fs.ErrPermission):
		fmt.Fprintf(stderr, "KeeperAdminCLI: %s; run this as root\n", printable(err))
		return exitUsage
	default:
		fmt.Fprintln(stderr, "KeeperAdminCLI:", printable(remedied(err)))
		return exitUsage
	}
}

// remedied is err with what to do about it, if nobody has answered.
func remedied(err error) error {
	if !errors.Is(err, client.ErrNotRunning) {
		return err
	}
	return fmt.Errorf("%w. Start it (on Linux: systemctl start keeper-privilege-manager), or name the agent that runs with --root", err)
}

// printable is an error for a terminal. Errors name files and what is in them:
// what could move a cursor is replaced, and lines after the first are indented,
// so that no name looks like a line of this program's.
func printable(err error) string {
	lines := strings.Split(strings.TrimSpace(err.Error()), "\n")
	for i, line := range lines {
		lines[i] = wire.Printable(strings.ReplaceAll(line, "\t", "  "))
	}
	return strings.Join(lines, "\n  ")
}

// Command returns the tree of commands, for Run and for what is generated from it.
func Command(cfg Config) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "KeeperAdminCLI",
		Example: "  KeeperAdminCLI status\n  KeeperAdminCLI audit tail -f\n  KeeperAdminCLI trust inspect --need signed setup.exe",
		Short:   "Inspect and administer this machine's privilege manager",
		Long: `Inspect and administer this machine's privilege manager.

Ten things administrators do:

  is it healthy?               KeeperAdminCLI status
  what do people ask for?      KeeperAdminCLI audit tail -f
  what was refused?            KeeperAdminCLI audit list --outcome denied
  why may alice not do this?   KeeperAdminCLI policy explain --user alice id
  begin a policy               KeeperAdminCLI policy new p --user a --command id
  put policies in force        KeeperAdminCLI policy apply p.json
  is any file wrong?           KeeperAdminCLI config check
  why does a plugin not work?  KeeperAdminCLI doctor
  did anybody change records?  KeeperAdminCLI audit verify
  hand facts to who helps      KeeperAdminCLI support bundle

The agent is found by --root, then by KEEPER_AGENT_ROOT, then where this program
lies, then in its default directory. Root does not follow the variable: it may be
somebody else's.

Exit status: 0, all is well; 1, a fault was found; 2, the command line is wrong
or the answer could not be had.`,
		Version:       cfg.Version,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	a := agent{Config: cfg}
	cmd.PersistentFlags().StringVar(&a.root, "root", "", "agent root")
	e := endpoint{agent: &a}
	e.flags(cmd)
	cmd.AddCommand(auditCommand(&a), policyCommand(&e), trustCommand(&a), statusCommand(&e), doctorCommand(&e), topicsCommand(&e), pluginsCommand(&e),
		jobsCommand(&e), approvalsCommand(&e), grantsCommand(&e), fileGrantsCommand(&e), rightsCommand(&e), mfaCommand(&e),
		group(&cobra.Command{Use: "settings", Short: "Show and change settings"}, getSettingsCommand(&e),
			putSettingCommand(&e), revertSettingsCommand(&e), revertAllSettingsCommand(&e), applicationSettingsCommand(&e)))
	cmd.AddCommand(reloadCommand(&e), interceptionCommand(&a), configCommand(&e), serviceCommand(&a), supportCommand(&e))
	takeJSON(cmd)
	return cmd
}

func pluginsCommand(e *endpoint) *cobra.Command {
	return group(&cobra.Command{Use: "plugins", Short: "Show, control, check, make and install plugins"},
		listPluginsCommand(e), healthPluginCommand(e), pluginLogsCommand(e),
		controlPluginCommand(e, "start", "Start a plugin, also one that was given up", "Exit status 1: it runs and is not healthy."),
		controlPluginCommand(e, "stop", "Stop a plugin", "It stays stopped until it is started again, or the service is."),
		controlPluginCommand(e, "restart", "Stop a plugin and start it again", "Exit status 1: it runs and is not healthy."),
		reloadPluginsCommand(e), checkPluginCommand(e), newPluginCommand(),
		installPluginCommand(e), removePluginCommand(e), approvePluginCommand(e))
}

// strict makes an unknown word an error in the two commands that cobra adds,
// which would print help and succeed: a script would keep that as its completion.
// root has its output by then; cobra takes it once.
func strict(root *cobra.Command) {
	root.InitDefaultCompletionCmd()
	root.InitDefaultHelpCmd()
	for _, cmd := range root.Commands() {
		switch cmd.Name() {
		case "completion":
			group(cmd)
		case "help":
			show := cmd.Run
			cmd.Run = nil
			cmd.RunE = func(cmd *cobra.Command, args []string) error {
				if _, rest, err := root.Find(args); err != nil || len(rest) > 0 {
					return fmt.Errorf("there is no help about %q, expected a command", strings.Join(args, " "))
				}
				show(cmd, args)
				return nil
			}
		}
	}
}

// group makes cmd a command of commands. A word that is none of them is an
// error, not a call for help.
func group(cmd *cobra.Command, commands ...*cobra.Command) *cobra.Command {
	cmd.Args = cobra.NoArgs
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	cmd.AddCommand(commands...)
	return cmd
}
