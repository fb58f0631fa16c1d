package admincli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"kpm/api/client"
	"kpm/core/view"
)

// maxJobFile bounds a job file, in bytes, as the service does.
const maxJobFile = 1 << 20

func validateJobCommand(e *endpoint) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "validate FILE...",
		Short: "Check job files without installing them",
		Long: `Have the running service check job files: every fault with its place. - is the
standard input. The exit status is 1 if a file cannot be used.`,
		Example: "  KeeperAdminCLI jobs validate my-tool.json\n  KeeperAdminCLI jobs new my-tool --every 60 | KeeperAdminCLI jobs validate -",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			wrong := false
			for _, name := range args {
				found, err := e.validate(cmd, name)
				if err == nil {
					err = found.print(cmd.OutOrStdout(), asJSON)
				}
				if err != nil {
					return err
				}
				wrong = wrong || !found.Usable
			}
			if wrong {
				return errFault
			}
			return nil
		},
	}
	jsonFlag(cmd, &asJSON)
	return cmd
}

// validated is what "jobs validate --json" prints of each file, one a line.
type validated struct {
	File   string   `json:"file"`
	Usable bool     `json:"usable"`
	Said   []string `json:"said"`
}

func (v *validated) say(format string, args ...any) {
	v.Said = append(v.Said, fmt.Sprintf(format, args...))
}

func (v validated) print(w io.Writer, asJSON bool) error {
	if asJSON {
		return printJSON(w, v)
	}
	for _, said := range v.Said {
		if err := line(w, "%s: %s", v.File, said); err != nil {
			return err
		}
	}
	return nil
}

// validate checks one file.
func (e *endpoint) validate(cmd *cobra.Command, name string) (validated, error) {
	found := validated{File: name, Said: []string{}}
	source := cmd.InOrStdin()
	if name != "-" {
		file, err := os.Open(name)
		if err != nil {
			return found, err
		}
		defer file.Close()
		source = file
	}
	body, err := io.ReadAll(io.LimitReader(source, maxJobFile+1))
	if err != nil {
		return found, err
	}
	if len(body) > maxJobFile {
		found.say("longer than %d bytes", maxJobFile)
		return found, nil
	}
	answer, err := e.call(cmd.Context(), http.MethodPost, "/api/Jobs/validate", body)
	var refusal *client.Refusal
	switch {
	case errors.As(err, &refusal) && len(refusal.Errors) > 0:
		for _, f := range refusal.Errors {
			found.say("%s: %s", f.Pointer, f.Detail)
		}
		return found, nil
	case err != nil:
		return found, err
	}
	var valid view.JobValidated
	if err := json.Unmarshal(answer, &valid); err != nil {
		return found, err
	}
	if want := strings.TrimSuffix(filepath.Base(name), ".json"); name != "-" && want != valid.ID {
		found.say("id is %q, expected the file's name without .json, %q", valid.ID, want)
		return found, nil
	}
	for _, warning := range valid.Warnings {
		found.say("warning: %s", warning)
	}
	found.say("job %s can be used", valid.ID)
	found.Usable = true
	return found, nil
}
