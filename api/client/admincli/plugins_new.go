package admincli

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"kpm/core"
	"kpm/plugins/scaffold"
)

func newPluginCommand() *cobra.Command {
	p := scaffold.Plugin{}
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "new NAME",
		Short: "Write the beginning of a plugin: its file, its program and a test",
		Long: `Write the beginning of a plugin into the folder NAME: its file, its program
and a test. It answers commands on NAME/Commands/+, logs, reads its settings and
follows their changes: what it prints says what is left to do.

For Go, --sdk names the folder of this project's source, which go.mod refers to:
the sdk is not published as a module.`,
		Example: "  KeeperAdminCLI plugins new MyBridge --lang python\n  KeeperAdminCLI plugins new MyBridge --lang go --sdk ~/src/kpm",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			p.Name = args[0]
			if !core.ValidName(p.Name) || core.ReservedName(p.Name) || strings.ContainsAny(p.Name, "._") {
				return fmt.Errorf("NAME is %q, expected 1 to 64 letters, digits and hyphens", p.Name)
			}
			if p.Language == "go" {
				sdk, err := filepath.Abs(p.SDK)
				if err != nil {
					return err
				}
				p.SDK = sdk
			}
			dir, err := filepath.Abs(p.Name)
			if err != nil {
				return err
			}
			if err := p.Write(dir); err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), map[string]string{"plugin": p.Name, "folder": dir, "make": p.Steps()})
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s is written. Make and test it, then install it as root:\n\n  cd %s && %s\n  KeeperAdminCLI plugins install %s\n  KeeperAdminCLI plugins check %s\n",
				dir, p.Name, p.Steps(), dir, p.Name)
			return err
		},
	}
	cmd.Flags().StringVar(&p.Language, "lang", "", "one of "+strings.Join(scaffold.Languages(), ", "))
	cmd.Flags().StringVar(&p.SDK, "sdk", ".", "folder of the sdk's source, for go")
	jsonFlag(cmd, &asJSON)
	_ = cmd.MarkFlagRequired("lang") // the flag is there
	return cmd
}

// pluginFile finds the plugin's file in a folder that is to be installed: the one
// that is called like its id.
func pluginFile(from string) (file, id string, err error) {
	info, err := os.Stat(from)
	if err != nil {
		return "", "", err
	}
	if !info.IsDir() {
		return from, strings.TrimSuffix(filepath.Base(from), ".json"), nil
	}
	name := filepath.Base(from)
	return filepath.Join(from, name+".json"), name, nil
}
