package admincli

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"kpm/core/view"
	"kpm/core/wire"
)

// pluginPath is the API's path for something about one plugin.
func pluginPath(id, what string) (string, error) {
	if id == "" {
		return "", fmt.Errorf("ID is empty, expected a plugin's id: plugins list shows them")
	}
	return "/api/plugins/" + url.PathEscape(id) + "/" + what, nil
}

// controlPluginCommand starts, stops or restarts one plugin.
func controlPluginCommand(e *endpoint, verb, short, long string) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     verb + " ID",
		Short:   short,
		Long:    short + ".\n\n" + long,
		Example: fmt.Sprintf("  KeeperAdminCLI plugins %s MyBridge", verb),
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			path, err := pluginPath(args[0], verb)
			if err != nil {
				return err
			}
			if asJSON {
				return e.pass(cmd, http.MethodPost, path, nil)
			}
			var h view.PluginHealth
			if err := e.post(cmd.Context(), path, nil, &h); err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), oneLine(h.ID+" is "+string(h.Status), h.Detail))
			if err == nil && verb != "stop" && h.Status != view.Healthy {
				return errFault
			}
			return err
		},
	}
	jsonFlag(cmd, &asJSON)
	return cmd
}

func healthPluginCommand(e *endpoint) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "health ID",
		Short: "Show the health of a plugin and its process",
		Long: `Show the health of a plugin and its process, with how the last process
ended and what it wrote last to its standard error.

Exit status 1: it is not healthy.`,
		Example: "  KeeperAdminCLI plugins health MyBridge",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			path, err := pluginPath(args[0], "health")
			if err != nil {
				return err
			}
			if asJSON {
				return e.pass(cmd, http.MethodGet, path, nil)
			}
			var h view.PluginHealth
			if err := e.get(cmd.Context(), path, &h); err != nil {
				return err
			}
			rows := [][]string{{"status", string(h.Status)}, {"detail", wire.PrintableLine(h.Detail)}}
			if h.ProcessID != 0 {
				rows = append(rows, []string{"process", fmt.Sprint(h.ProcessID)},
					[]string{"up", (time.Duration(h.UptimeSeconds) * time.Second).String()})
			}
			rows = append(rows, []string{"restarts", fmt.Sprint(h.Restarts)}, []string{"last exit", h.LastExit})
			for _, line := range h.LastStderr {
				rows = append(rows, []string{"stderr", line})
			}
			for _, i := range h.Instances {
				rows = append(rows, []string{"session " + string(i.Session), oneLine(i.User+": "+string(i.Status), i.Detail)})
			}
			rows = slices.DeleteFunc(rows, func(r []string) bool { return r[1] == "" })
			if err := printTable(cmd.OutOrStdout(), rows); err != nil || h.Status == view.Healthy {
				return err
			}
			return errFault
		},
	}
	jsonFlag(cmd, &asJSON)
	return cmd
}

func reloadPluginsCommand(e *endpoint) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "reload",
		Short: "Have the service read the plugin files again",
		Long: `Have the service read the plugin files again. Plugins whose files say the
same as before are not touched.

Exit status 1: a file cannot be used; its plugin is as before.`,
		Example: "  KeeperAdminCLI plugins reload",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if asJSON {
				return e.pass(cmd, http.MethodPost, "/api/plugins/reload", nil)
			}
			var done view.PluginsReloaded
			if err := e.post(cmd.Context(), "/api/plugins/reload", nil, &done); err != nil {
				return err
			}
			rows := [][]string{
				{"added", strings.Join(done.Added, ", ")}, {"removed", strings.Join(done.Removed, ", ")},
				{"restarted", strings.Join(done.Restarted, ", ")}, {"settings changed", strings.Join(done.Settings, ", ")},
			}
			for id, why := range done.Broken {
				rows = append(rows, []string{"broken", id + ": " + why})
			}
			rows = slices.DeleteFunc(rows, func(r []string) bool { return r[1] == "" })
			if len(rows) == 0 {
				rows = [][]string{{"nothing has changed"}}
			}
			if err := printTable(cmd.OutOrStdout(), rows); err != nil || len(done.Broken) == 0 {
				return err
			}
			return errFault
		},
	}
	jsonFlag(cmd, &asJSON)
	return cmd
}

// oneLine is what, and why if there is a why.
func oneLine(what, why string) string {
	if why == "" {
		return what
	}
	return what + ": " + wire.PrintableLine(why)
}
