// Command KeeperAdminCLI is the administrator's tool: it verifies and shows the
// journal, and speaks to the service's API.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

// version is set by the build (-ldflags "-X main.version=...").
var version = "0.1.0-dev"

// Exit codes.
const (
	exitOK    = 0
	exitFault = 1 // what was asked about is not as it should be
	exitUsage = 2 // the question could not be understood, or not be answered
)

// errFault ends a command that has printed the fault it found.
var errFault = errors.New("fault found")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	cmd := command()
	cmd.SetArgs(args)
	cmd.SetOut(stdout)
	cmd.SetErr(stderr)
	switch err := cmd.ExecuteContext(ctx); {
	case err == nil:
		return exitOK
	case errors.Is(err, errFault):
		return exitFault
	case errors.Is(err, fs.ErrPermission):
		fmt.Fprintf(stderr, "KeeperAdminCLI: %v; run this as root\n", err)
		return exitUsage
	default:
		fmt.Fprintln(stderr, "KeeperAdminCLI:", err)
		return exitUsage
	}
}

func command() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "KeeperAdminCLI",
		Short: "Look after an endpoint's privilege manager",
		Long: `Look after an endpoint's privilege manager.

The agent is found by --root, then by KEEPER_AGENT_ROOT, then at its default
place. Root does not follow the variable: it may be somebody else's.

Exit status: 0, all is well; 1, a fault was found; 2, the command line is wrong
or the answer could not be had.`,
		Version:       version,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	var o options
	cmd.PersistentFlags().StringVar(&o.root, "root", "", "agent root")
	e := endpoint{options: &o}
	e.flags(cmd)
	cmd.AddCommand(auditCommand(&o), trustCommand(&o))
	cmd.AddCommand(apiCommands(&e)...)
	return cmd
}

// group makes cmd a command of commands. A word that is none of them is an
// error, not a call for help.
func group(cmd *cobra.Command, commands ...*cobra.Command) *cobra.Command {
	cmd.Args = cobra.NoArgs
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	cmd.AddCommand(commands...)
	return cmd
}
