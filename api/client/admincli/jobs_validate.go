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
	"kpm/core/wire"
)

// maxJobFile bounds a job file, in bytes, as the service does.
const maxJobFile = 1 << 20

func validateJobCommand(e *endpoint) *cobra.Command {
	return &cobra.Command{
		Use:   "validate FILE...",
		Short: "Check job files without installing them",
		Long: `Have the running service check job files: every fault with its place. - is the
standard input. The exit status is 1 if a file cannot be used.`,
		Example: "  KeeperAdminCLI jobs validate my-tool.json\n  KeeperAdminCLI jobs new my-tool --every 60 | KeeperAdminCLI jobs validate -",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			wrong := false
			for _, name := range args {
				ok, err := e.validate(cmd, name)
				if err != nil {
					return err
				}
				wrong = wrong || !ok
			}
			if wrong {
				return errFault
			}
			return nil
		},
	}
}

// validate checks one file and prints what is wrong with it.
func (e *endpoint) validate(cmd *cobra.Command, name string) (bool, error) {
	source := cmd.InOrStdin()
	if name != "-" {
		file, err := os.Open(name)
		if err != nil {
			return false, err
		}
		defer file.Close()
		source = file
	}
	body, err := io.ReadAll(io.LimitReader(source, maxJobFile+1))
	if err != nil {
		return false, err
	}
	say := func(format string, args ...any) (bool, error) {
		_, err := fmt.Fprintln(cmd.OutOrStdout(), wire.Printable(name+": "+fmt.Sprintf(format, args...)))
		return false, err
	}
	if len(body) > maxJobFile {
		return say("longer than %d bytes", maxJobFile)
	}
	answer, err := e.call(cmd.Context(), http.MethodPost, "/api/Jobs/validate", body)
	var refusal *client.Refusal
	switch {
	case errors.As(err, &refusal) && len(refusal.Errors) > 0:
		for _, f := range refusal.Errors {
			if _, err := say("%s: %s", f.Pointer, f.Detail); err != nil {
				return false, err
			}
		}
		return false, nil
	case err != nil:
		return false, err
	}
	var valid view.JobValidated
	if err := json.Unmarshal(answer, &valid); err != nil {
		return false, err
	}
	if want := strings.TrimSuffix(filepath.Base(name), ".json"); name != "-" && want != valid.ID {
		return say("id is %q, expected the file's name without .json, %q", valid.ID, want)
	}
	for _, warning := range valid.Warnings {
		if _, err := say("warning: %s", warning); err != nil {
			return false, err
		}
	}
	_, err = say("job %s can be used", valid.ID)
	return true, err
}
