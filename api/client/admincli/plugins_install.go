package admincli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"kpm/api/client"
	"kpm/core"
	"kpm/core/view"
	"kpm/settings"
)

// maxInstalled bounds what one plugin's folder may have, in files and bytes.
const (
	maxInstalled      = 20000
	maxInstalledBytes = 4 << 30
)

func installPluginCommand(e *endpoint) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "install DIR|FILE",
		Short: "Install a plugin, or a new version of it, and approve it",
		Long: `Install a plugin from a folder that has ID.json and its program, or from its
file alone. Everything else in the folder goes to Plugins/bin/ID, owned by root
and writable by nobody else; tests, sources of modules and hidden files too, so
keep what is not to be installed elsewhere. The plugin is then started, and is the
last known good.`,
		Example: "  KeeperAdminCLI plugins install ./MyBridge",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			from, err := filepath.Abs(args[0])
			if err != nil {
				return err
			}
			file, id, err := pluginFile(from)
			if err != nil {
				return err
			}
			layout, err := e.layout()
			if err != nil {
				return err
			}
			text, err := readPlugin(file, id)
			if err != nil {
				return err
			}
			if file != from {
				if err := installPrograms(layout, from, file, id); err != nil {
					return fmt.Errorf("install %s: %w", id, err)
				}
			}
			path := filepath.Join(layout.Plugins(), id+".json")
			if err := e.Host("").Files.WriteAtomic(path, text, 0o644); err != nil {
				return fmt.Errorf("install %s: %w", id, err)
			}
			return e.settleDown(cmd, id, "installed")
		},
	}
	cmd.Flags().Bool("json", false, "print the result as JSON")
	return cmd
}

// readPlugin reads a plugin's file and makes sure that it is one.
func readPlugin(file, id string) ([]byte, error) {
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s is not there: a plugin's folder has a file that is called like it", file)
	}
	if err != nil {
		return nil, err
	}
	doc, err := settings.ParseDocument(file, text)
	if err != nil {
		return nil, err
	}
	var said struct{ ID string }
	if err := doc.Decode(&said); err != nil {
		return nil, err
	}
	if said.ID != id || !core.ValidName(id) {
		return nil, doc.Fault("id", fmt.Sprintf("%q", said.ID), fmt.Sprintf("the file's name without .json, %q", id))
	}
	return text, nil
}

// installPrograms replaces Plugins/bin/{id} by what is in from, all of it or
// nothing: a folder beside it is filled first.
func installPrograms(l settings.Layout, from, file, id string) error {
	bin := filepath.Join(l.Plugins(), "bin")
	if err := os.MkdirAll(bin, 0o755); err != nil {
		return err
	}
	fresh, err := os.MkdirTemp(bin, ".install-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(fresh)
	if err := os.Chmod(fresh, 0o755); err != nil {
		return err
	}
	if err := copyTree(from, fresh, file); err != nil {
		return err
	}
	to := filepath.Join(bin, id)
	old := fresh + "-old"
	if err := os.Rename(to, old); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	defer os.RemoveAll(old)
	return os.Rename(fresh, to)
}

// copyTree copies regular files and folders, and links within them; except is left
// out. Modes become 0755 or 0644: what others could write would not start.
func copyTree(from, to, except string) error {
	files, bytes := 0, int64(0)
	return filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || path == from || path == except {
			return err
		}
		below, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		target := filepath.Join(to, below)
		info, err := entry.Info()
		if err != nil {
			return err
		}
		if files++; files > maxInstalled {
			return fmt.Errorf("%s has more than %d files", from, maxInstalled)
		}
		switch {
		case entry.IsDir():
			return os.Mkdir(target, 0o755)
		case info.Mode()&fs.ModeSymlink != 0:
			link, err := os.Readlink(path)
			if err != nil {
				return err
			}
			if filepath.IsAbs(link) || !filepath.IsLocal(filepath.Join(filepath.Dir(below), link)) {
				return fmt.Errorf("%s leads out of the folder", path)
			}
			return os.Symlink(link, target)
		case !info.Mode().IsRegular():
			return fmt.Errorf("%s is no regular file", path)
		}
		if bytes += info.Size(); bytes > maxInstalledBytes {
			return fmt.Errorf("%s has more than %d bytes", from, int64(maxInstalledBytes))
		}
		mode := fs.FileMode(0o644)
		if info.Mode()&0o111 != 0 {
			mode = 0o755
		}
		return copyFile(path, target, mode)
	})
}

func copyFile(from, to string, mode fs.FileMode) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Chmod(mode), out.Sync(), out.Close())
}

// settleDown approves what has been done to a plugin's files and has it read; a
// service that does not run reads it when it starts.
func (e *endpoint) settleDown(cmd *cobra.Command, id, what string) error {
	path, err := pluginPath(id, "approve")
	if err != nil {
		return err
	}
	var done view.PluginsReloaded
	err = e.post(cmd.Context(), "/api/plugins/reload", nil, &done)
	if err == nil {
		err = e.post(cmd.Context(), path, nil, &view.Approved{})
	}
	if errors.Is(err, client.ErrNotRunning) {
		if err := e.approveAtStart(id); err != nil {
			return err
		}
		return printSettled(cmd, settled{id, what, false})
	}
	if err != nil {
		return fmt.Errorf("%s is %s, and the service has not read it: %w", id, what, err)
	}
	if why := done.Broken[id]; why != "" {
		return fmt.Errorf("%s is %s, and cannot be used: %s", id, what, why)
	}
	return printSettled(cmd, settled{id, what, true})
}

// settled is what "plugins install" and "plugins remove" print as JSON.
type settled struct {
	ID   string `json:"id"`
	Is   string `json:"is"`       // "installed" or "removed"
	Done bool   `json:"approved"` // false: the service does not run, and approves it when it starts
}

func printSettled(cmd *cobra.Command, s settled) error {
	if asJSON, err := cmd.Flags().GetBool("json"); err != nil || asJSON {
		return errors.Join(err, printJSON(cmd.OutOrStdout(), s))
	}
	then := " and approved"
	if !s.Done {
		then = "; the service does not run, and approves that when it starts"
	}
	return line(cmd.OutOrStdout(), "%s is %s%s", s.ID, s.Is, then)
}

// approveAtStart leaves word for the service's next start: an id, or "*".
func (e *endpoint) approveAtStart(what string) error {
	layout, err := e.layout()
	if err != nil {
		return err
	}
	f, err := os.OpenFile(layout.Approvals(), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // the service has never run: it accepts what it finds
	}
	if err != nil {
		return err
	}
	_, err = f.WriteString(what + "\n")
	return errors.Join(err, f.Sync(), f.Close())
}

func removePluginCommand(e *endpoint) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "remove ID",
		Short:   "Stop a plugin and remove its file and its programs",
		Long:    "Stop a plugin and remove its file and its programs. What was stored of its settings\nstays, and is in force again if it is installed again.",
		Example: "  KeeperAdminCLI plugins remove MyBridge",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			id := args[0]
			if !core.ValidName(id) || strings.Trim(id, ".") == "" {
				return fmt.Errorf("ID is %q, expected a plugin's id: plugins list shows them", id)
			}
			layout, err := e.layout()
			if err != nil {
				return err
			}
			file := filepath.Join(layout.Plugins(), id+".json")
			if err := os.Remove(file); err != nil {
				return err
			}
			if err := e.settleDown(cmd, id, "removed"); err != nil {
				return err
			}
			if err := os.RemoveAll(filepath.Join(layout.Plugins(), "bin", id)); err != nil {
				return err
			}
			path, err := pluginPath(id, "approve")
			if err != nil {
				return err
			}
			if err := e.post(cmd.Context(), path, nil, &view.Approved{}); !errors.Is(err, client.ErrNotRunning) {
				return err
			}
			return nil // approved when the service starts
		},
	}
	cmd.Flags().Bool("json", false, "print the result as JSON")
	return cmd
}

func approvePluginCommand(e *endpoint) *cobra.Command {
	var all, show, atStart, asJSON bool
	cmd := &cobra.Command{
		Use:   "approve [ID]",
		Short: "Accept changes of files that nobody has approved",
		Long: `Accept the changes of a plugin's file and programs, or with --all of every
plugin, job and policy file and every program: they are the last known good from
then on. --list shows what there is to approve. With --at-start, ID may also be a
folder below the agent root, with "/" at its end.`,
		Example: "  KeeperAdminCLI plugins approve --list\n  KeeperAdminCLI plugins approve MyBridge\n  KeeperAdminCLI plugins approve --all\n  KeeperAdminCLI plugins approve --all --at-start",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case show:
				var changes []view.Unapproved
				if err := e.get(cmd.Context(), "/api/LastKnownGood", &changes); err != nil {
					return err
				}
				if asJSON {
					return printJSON(cmd.OutOrStdout(), changes)
				}
				rows := [][]string{{"FILE", "CHANGE", "FOUND", "APPROVED"}}
				for _, c := range changes {
					rows = append(rows, []string{c.Path, c.Change, c.Found, c.Good})
				}
				return printTable(cmd.OutOrStdout(), rows)
			case all == (len(args) == 1):
				return errors.New("expected ID, or --all, and one of them")
			}
			if atStart {
				what := "*"
				if !all {
					what = args[0]
				}
				return e.approveAtStart(what)
			}
			path := "/api/LastKnownGood/approve"
			if !all {
				var err error
				if path, err = pluginPath(args[0], "approve"); err != nil {
					return err
				}
			}
			return e.pass(cmd, http.MethodPost, path, nil)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "with --list, print the result as JSON, which every other answer is")
	cmd.Flags().BoolVar(&all, "all", false, "everything that there is")
	cmd.Flags().BoolVar(&atStart, "at-start", false, "when the service starts next: for packages, which install while it does not run")
	cmd.Flags().BoolVar(&show, "list", false, "show what there is to approve")
	return cmd
}
