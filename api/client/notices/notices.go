// Package notices is KeeperClient: it shows a person what becomes of what they have asked
// for, on their desktop, and lists what is open.
//
// It has no authority, and decides nothing: it hears what the service tells that user, as
// keeperAgent does.
package notices

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"kpm/api/client"
	"kpm/api/client/approvals"
	"kpm/core/dialog"
	"kpm/core/port"
	"kpm/core/view"
	"kpm/core/wire"
	"kpm/settings"
)

// Exit statuses.
const (
	exitOK    = 0
	exitFault = 1
	exitUsage = 2
)

// Service is what is heard. client.Client is one.
type Service interface {
	Call(ctx context.Context, method, path string, body []byte) (json.RawMessage, error)
	// Stream calls each for every event, until they end or ctx does.
	Stream(ctx context.Context, path string, each func(name string, data []byte) error) error
}

// Config is what KeeperClient needs of the build and the operating system.
type Config struct {
	Version string
	Host    port.Host
	// Show shows a notice.
	Show           dialog.Show
	Stdout, Stderr io.Writer
}

// Run runs the command line args and returns the exit status.
func Run(ctx context.Context, args []string, cfg Config) int {
	cmd := Command(cfg)
	cmd.SetArgs(args)
	cmd.SetOut(cfg.Stdout)
	cmd.SetErr(cfg.Stderr)
	err := cmd.ExecuteContext(ctx)
	switch {
	case err == nil || errors.Is(err, context.Canceled):
		return exitOK
	case errors.Is(err, errUsage):
		fmt.Fprintln(cfg.Stderr, "KeeperClient:", wire.PrintableLine(err.Error()))
		return exitUsage
	}
	fmt.Fprintln(cfg.Stderr, "KeeperClient:", wire.PrintableLine(err.Error()))
	return exitFault
}

var errUsage = errors.New("see KeeperClient --help")

// Command returns the command, for Run and for what is generated from it.
func Command(cfg Config) *cobra.Command {
	var root string
	var list, asJSON bool
	cmd := &cobra.Command{
		Use: "KeeperClient", Short: "Show on the desktop what becomes of your requests", Version: cfg.Version,
		Long: `Show on the desktop what becomes of your requests.

It stays, and shows a notice when a request of yours is approved or denied, and before
an approval or a grant ends. It is started with the desktop, and ends when that can show
nothing any more. It decides nothing.

--list prints your open approvals and grants instead, and ends.

The agent is found by --root, then by KEEPER_AGENT_ROOT, then in its default directory.

Exit status: 0; 1, the service or the desktop does not answer; 2, the command line is
wrong.`,
		Example:       "  KeeperClient\n  KeeperClient --list\n  KeeperClient --list --json",
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			layout, err := find(root, cfg.Host)
			if err != nil {
				return err
			}
			c := client.Local(func() (net.Conn, error) { return cfg.Host.Transport.Dial(layout.APISocket()) })
			defer c.Close()
			if list {
				return printOpen(cmd.Context(), c, cfg, asJSON)
			}
			return Watch(cmd.Context(), c, cfg.Show, time.After)
		},
	}
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return fmt.Errorf("%w; %w", err, errUsage) })
	f := cmd.Flags()
	f.StringVar(&root, "root", "", "agent root")
	f.BoolVar(&list, "list", false, "print what is open, and end")
	f.BoolVar(&asJSON, "json", false, "with --list: as JSON")
	return cmd
}

// find finds the agent root (decision 4). Root does not follow the variable: it may be
// somebody else's.
func find(root string, host port.Host) (settings.Layout, error) {
	if root == "" && !host.Accounts.Administrator() {
		root = os.Getenv("KEEPER_AGENT_ROOT")
	}
	if root == "" {
		root = host.Facts.Platform.DefaultRoot()
	}
	path, err := filepath.Abs(root)
	if err == nil {
		err = host.Files.ProtectedRoot(path)
	}
	if err != nil {
		return settings.Layout{}, fmt.Errorf("agent root %s cannot be trusted, name another with --root: %w; %w", root, err, errUsage)
	}
	return settings.At(path, ""), nil
}

// open is what a person has open.
type open struct {
	Approvals []view.Approval `json:"approvals"`
	Grants    []view.Grant    `json:"grants"`
}

// printOpen prints what the service says is open.
func printOpen(ctx context.Context, from Service, cfg Config, asJSON bool) error {
	is := open{Approvals: []view.Approval{}}
	var all []view.Approval
	for path, into := range map[string]any{approvals.Path: &all, "/api/grants": &is.Grants} {
		text, err := from.Call(ctx, "GET", path, nil)
		if err == nil {
			err = json.Unmarshal(text, into)
		}
		if err != nil {
			return err
		}
	}
	for _, one := range all {
		if one.Own && !one.Used && !one.Withdrawn && one.Status != "denied" && one.Status != "expired" {
			is.Approvals = append(is.Approvals, one)
		}
	}
	if asJSON {
		text, err := json.Marshal(is)
		if err == nil {
			_, err = fmt.Fprintf(cfg.Stdout, "%s\n", wire.Printable(string(text)))
		}
		return err
	}
	for i := range is.Approvals {
		one := &is.Approvals[i]
		if _, err := fmt.Fprintf(cfg.Stdout, "approval %s %s: %s (expires in %s)\n", wire.Printable(one.ID), approvals.State(one), approvals.Command(cfg.Host.Facts.Platform, one), approvals.Left(one)); err != nil {
			return err
		}
	}
	for i := range is.Grants {
		if _, err := fmt.Fprintf(cfg.Stdout, "grant %s\n", wire.Printable(describe(&is.Grants[i]))); err != nil {
			return err
		}
	}
	if len(is.Approvals)+len(is.Grants) == 0 {
		_, err := fmt.Fprintln(cfg.Stdout, "Nothing of yours is open.")
		return err
	}
	return nil
}
