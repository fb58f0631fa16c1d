// Command KeeperAdminCLI is the administrator's tool. It holds no logic: see
// api/client/admincli.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"

	"kpm/api/client/admincli"
	"kpm/core"
	"kpm/jobs"
	"kpm/launcher/control"
	"kpm/platform"
	"kpm/platform/files"
	"kpm/platform/systemlog"
	"kpm/plugins/keeperpolicy"
	"kpm/settings"
)

// version is set by the build (-ldflags "-X main.version=...").
var version = "0.1.0-dev"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := admincli.Run(ctx, os.Args[1:], os.Stdout, os.Stderr, admincli.Config{
		Version:  version,
		Program:  program(),
		Host:     platform.Tools,
		Policies: readPolicies,
		Jobs:     jobChecker,
		GiveBack: giveBack,
		Record:   record,
	})
	stop()
	os.Exit(code)
}

// program is where this one lies.
func program() string {
	path, err := os.Executable()
	if err == nil {
		path, err = filepath.EvalSymlinks(path)
	}
	if err != nil {
		return "" // the default root is looked at instead
	}
	return path
}

// record writes a line to the system's log, where lines about elevations are.
func record(line string) error {
	log, err := systemlog.OpenAuthorization("KeeperAdminCLI")
	if err != nil {
		return err
	}
	return errors.Join(log.Write("Warning", line), log.Close())
}

// giveBack has the service's own program do it: it alone writes to State.
func giveBack(ctx context.Context, layout settings.Layout) error {
	path := layout.Manager()
	if err := platform.Tools(layout.Root()).Files.ProtectedRoot(layout.Root()); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, path, "rights", "give-back", "--root", layout.Root())
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s rights give-back: %w", path, err)
	}
	return nil
}

// readPolicies reads policies as KeeperPolicy does.
func readPolicies(f admincli.PolicyFiles) admincli.PolicySet {
	return keeperpolicy.ReadCandidate(keeperpolicy.Reading{
		Root: f.Root, Collections: f.Collections, Paths: f.Paths, Files: f.Files, EnforceForAdministrators: f.EnforceForAdministrators, Own: f.Own,
	}, keeperpolicy.Tools{
		Open:    func(root, path string) (keeperpolicy.Folder, error) { return files.Open(root, path) },
		Resolve: files.Resolve,
	})
}

// jobChecker checks job files as the service does.
func jobChecker(layout settings.Layout) (admincli.JobChecker, error) {
	host := platform.Tools(layout.Root())
	commands := map[string]core.Control{}
	for _, c := range control.Bundled(nil, nil, nil, control.Justify{}) {
		commands[c.Command()] = c.Name()
	}
	return jobs.NewChecker(jobs.CheckerConfig{
		Layout: layout, Platform: host.Facts.Platform, Read: host.Files.ReadProtected, Controls: commands,
	})
}
