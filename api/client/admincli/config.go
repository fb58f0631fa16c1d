package admincli

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"

	"github.com/spf13/cobra"

	"kpm/api/client"
	"kpm/core/view"
	"kpm/settings"
)

func configCommand(e *endpoint) *cobra.Command {
	return group(&cobra.Command{
		Use:   "config",
		Short: "Check all files of the agent, and show what is in force",
	}, checkConfigCommand(e), showConfigCommand(e))
}

// setting is one application setting as "config show --json" has it.
type setting struct {
	settings.Said
	Source string `json:"source"` // "default", "file" or "stored"
	By     string `json:"by,omitempty"`
}

func showConfigCommand(e *endpoint) *cobra.Command {
	var asJSON, effective bool
	cmd := &cobra.Command{
		Use:   "show",
		Short: "Show the settings of appsettings.json",
		Long: `Show the settings of appsettings.json: those that the file gives, or, with
--effective, all of them with the defaults, and what was stored in their place
while the service ran. Of a service that does not run the file alone is shown.

What a plugin has is shown by "settings get PLUGIN --explain".`,
		Example: "  KeeperAdminCLI config show\n  KeeperAdminCLI config show --effective\n  KeeperAdminCLI config show --effective --json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			app, err := e.app()
			if err != nil {
				return err
			}
			stored := map[string]view.Setting{}
			if effective {
				err := e.get(cmd.Context(), "/api/PluginSettings/"+settings.AgentWide+"?explain=true", &stored)
				if err != nil && !errors.Is(err, client.ErrNotRunning) {
					return err
				}
			}
			list := []setting{}
			for _, said := range app.Said() {
				s := setting{Said: said, Source: "default"}
				if said.Given {
					s.Source = "file"
				}
				if kept, is := stored[said.Live]; is && said.Live != "" && kept.Source == string(settings.FromStore) {
					s.Value, s.Source, s.By = asValue(said.Value, kept.Value), "stored", kept.By
				}
				if effective || said.Given {
					list = append(list, s)
				}
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), list)
			}
			rows := [][]string{{"KEY", "VALUE", "FROM", "BY"}}
			for _, s := range list {
				rows = append(rows, []string{s.Key, string(s.Value), s.Source, s.By})
			}
			return printTable(cmd.OutOrStdout(), rows)
		},
	}
	jsonFlag(cmd, &asJSON)
	cmd.Flags().BoolVar(&effective, "effective", false, "show all settings, and where each comes from")
	return cmd
}

// app reads the agent root's appsettings.json.
func (a *agent) app() (settings.App, error) {
	layout, err := a.layout()
	if err != nil {
		return settings.App{}, err
	}
	return settings.LoadApp(layout.AppSettings(), a.Host(layout.Root()).Files.ReadProtected)
}

// problem is one thing that is wrong with a file.
type problem struct {
	File  string `json:"file"`
	Found string `json:"found"`
}

// checked is what "config check --json" prints.
type checked struct {
	// Running: the service answered, and said what it makes of plugins and jobs.
	Running  bool      `json:"running"`
	Problems []problem `json:"problems"`
	// Notes are worth a look and no fault.
	Notes []problem `json:"notes"`
}

func checkConfigCommand(e *endpoint) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Say what is wrong with any file that an administrator writes",
		Long: `Say what is wrong with appsettings.json and the files in Plugins, Jobs and
Policies, before the service is started or reloaded.

Settings and policies are read here; what the running service makes of plugin and
job files is asked of it. Without it they are only read as JSON. The exit status
is 1 if a file is not as it should be.`,
		Example: "  KeeperAdminCLI config check\n  KeeperAdminCLI config check --json\n  KeeperAdminCLI config check && systemctl reload keeper-privilege-manager",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			found, err := e.checkConfig(cmd)
			if err != nil {
				return err
			}
			if err := found.print(cmd, asJSON); err != nil {
				return err
			}
			if len(found.Problems) > 0 {
				return errFault
			}
			return nil
		},
	}
	jsonFlag(cmd, &asJSON)
	return cmd
}

func (c checked) print(cmd *cobra.Command, asJSON bool) error {
	out := cmd.OutOrStdout()
	if asJSON {
		return printJSON(out, c)
	}
	for _, p := range c.Problems {
		if err := line(out, "fault: %s: %s", p.File, p.Found); err != nil {
			return err
		}
	}
	for _, p := range c.Notes {
		if err := line(out, "note: %s: %s", p.File, p.Found); err != nil {
			return err
		}
	}
	if !c.Running {
		if err := line(out, "note: the service does not answer: plugin and job files were read as JSON only"); err != nil {
			return err
		}
	}
	if len(c.Problems) == 0 {
		return line(out, "every file is as it should be")
	}
	return nil
}

// sorted has the files in order, each with what there is to say in the order in
// which it was found.
func sorted(found map[string][]string) []problem {
	list := []problem{}
	for _, file := range slices.Sorted(maps.Keys(found)) {
		for _, text := range found[file] {
			list = append(list, problem{file, text})
		}
	}
	return list
}

// asValue is a stored text as the JSON of a setting that is like another.
func asValue(like json.RawMessage, text string) json.RawMessage {
	if len(like) > 0 && like[0] == '"' || !json.Valid([]byte(text)) {
		quoted, _ := json.Marshal(text) // of a string
		return quoted
	}
	return json.RawMessage(text)
}
