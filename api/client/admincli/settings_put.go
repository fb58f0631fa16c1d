package admincli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"kpm/core/view"
)

func putSettingCommand(e *endpoint) *cobra.Command {
	var secret bool
	cmd := &cobra.Command{
		Use:   "put PLUGIN KEY [VALUE]",
		Short: "Store one setting of a plugin",
		Long: `Store one setting of a plugin. It is in force at once, and lies over what
the plugin's file says until it is reverted.

With --stdin the value is read from standard input, without a line end: so a
secret is in no history and in no list of processes.`,
		Example: "  KeeperAdminCLI settings put MyBridge colour green\n  KeeperAdminCLI settings put KeeperPrivilegeManager system.logging.level Debug\n  KeeperAdminCLI settings put MyBridge token --stdin < token.txt",
		Args:    cobra.RangeArgs(2, 3),
		RunE: func(cmd *cobra.Command, args []string) error {
			if (len(args) == 3) == secret {
				return errors.New("expected a VALUE, or --stdin, and one of them")
			}
			value := ""
			if secret {
				data, err := io.ReadAll(io.LimitReader(cmd.InOrStdin(), 1<<20))
				if err != nil {
					return err
				}
				value = strings.TrimRight(string(data), "\r\n")
			} else {
				value = args[2]
			}
			body, err := json.Marshal(value)
			if err != nil {
				return err
			}
			path := "/api/PluginSettings/" + url.PathEscape(args[0]) + "/" + url.PathEscape(args[1])
			return e.pass(cmd, http.MethodPut, path, body)
		},
	}
	cmd.Flags().BoolVar(&secret, "stdin", false, "read the value from standard input")
	return cmd
}

func revertSettingsCommand(e *endpoint) *cobra.Command {
	return &cobra.Command{
		Use:     "revert PLUGIN",
		Short:   "Forget the stored settings of a plugin, and read its file again",
		Example: "  KeeperAdminCLI settings revert MyBridge",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return e.pass(cmd, http.MethodPost, "/api/PluginSettings/"+url.PathEscape(args[0])+"/revert", nil)
		},
	}
}

func revertAllSettingsCommand(e *endpoint) *cobra.Command {
	return &cobra.Command{
		Use:     "revert-all",
		Short:   "Forget the stored settings of all plugins, and read their files again",
		Example: "  KeeperAdminCLI settings revert-all",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return e.pass(cmd, http.MethodPost, "/api/PluginSettings/revert-all", nil)
		},
	}
}

// applicationSettingsCommand shows appsettings.json with its defaults, or changes
// it.
func applicationSettingsCommand(e *endpoint) *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "app [SECTION:KEY=VALUE...]",
		Short: "Show or change the application settings",
		Long: `Show appsettings.json with its defaults filled in, or change it: all that is
named, or nothing. VALUE is JSON, or text. null takes a setting out of the file.

Prints what is in force now, and what takes a restart of the service.`,
		Example: "  KeeperAdminCLI settings app\n  KeeperAdminCLI settings app PluginMonitoring:BreakerLimit=7 Settings:KestrelHttpPort=0\n  KeeperAdminCLI settings app --file changes.json",
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 && file == "" {
				return e.pass(cmd, http.MethodGet, "/api/Settings", nil)
			}
			body, err := applicationChanges(args, file)
			if err != nil {
				return err
			}
			var done view.ApplicationSettingsPut
			if err := e.ask(cmd.Context(), http.MethodPut, "/api/Settings", body, &done); err != nil {
				return err
			}
			return printJSON(cmd.OutOrStdout(), done)
		},
	}
	cmd.Flags().StringVar(&file, "file", "", "a JSON file with sections and their settings")
	return cmd
}

func applicationChanges(args []string, file string) ([]byte, error) {
	if file != "" {
		if len(args) > 0 {
			return nil, errors.New("expected settings, or --file, and one of them")
		}
		return os.ReadFile(file)
	}
	sections := map[string]map[string]json.RawMessage{}
	for _, arg := range args {
		key, value, ok := strings.Cut(arg, "=")
		section, name, two := strings.Cut(key, ":")
		if !ok || !two {
			return nil, fmt.Errorf("%q, expected SECTION:KEY=VALUE", arg)
		}
		raw := json.RawMessage(value)
		if !json.Valid(raw) {
			raw, _ = json.Marshal(value) // of a string
		}
		if sections[section] == nil {
			sections[section] = map[string]json.RawMessage{}
		}
		sections[section][name] = raw
	}
	return json.Marshal(sections)
}
