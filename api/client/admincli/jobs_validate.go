package admincli

import (
	"context"
	"encoding/json"
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
	"kpm/core/fault"
	"kpm/core/view"
	"kpm/core/wire"
)

// maxJobFile bounds a job file, in bytes, as the service does.
const maxJobFile = 1 << 20

func validateJobCommand(e *endpoint) *cobra.Command {
	return &cobra.Command{
		Use:   "validate FILE...",
		Short: "Check job files without installing them",
		Long: `Check job files as the service would: every fault with its place. The service need not
run; what is installed in the agent root is what alternates and programs are looked for in.
With --port or --url the running service checks them. - is the standard input. The exit
status is 1 if a file cannot be used.`,
		Example: "  KeeperAdminCLI jobs validate my-tool.json\n  KeeperAdminCLI jobs new my-tool --every 60 | KeeperAdminCLI jobs validate -",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			check, err := e.jobCheck(cmd.Context())
			if err != nil {
				return err
			}
			wrong := false
			for _, name := range args {
				ok, err := validate(cmd, name, check)
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

// jobCheck is what checks a job: the loader itself, or the service at a port that was
// named. faults are what is wrong with the job in file name, for people.
type jobCheck func(name, fileID string, body []byte) (valid view.JobValidated, faults []string, err error)

func (e *endpoint) jobCheck(ctx context.Context) (jobCheck, error) {
	if e.port != 0 || e.url != "" {
		return func(name, _ string, body []byte) (view.JobValidated, []string, error) {
			return e.checkByService(ctx, name, body)
		}, nil
	}
	layout, err := e.layout()
	if err != nil && !errors.Is(err, fs.ErrNotExist) { // without an agent, nothing is installed
		return nil, err
	}
	checker, err := e.Jobs(layout)
	if err != nil {
		return nil, err
	}
	return func(name, fileID string, body []byte) (view.JobValidated, []string, error) {
		valid, err := checker.Check(fileID, body)
		var one *fault.Fault
		var list fault.List
		switch {
		case errors.As(err, &list):
		case errors.As(err, &one):
			list = fault.List{one}
		case err != nil:
			return valid, nil, err
		}
		var faults []string
		for _, f := range list {
			here := *f
			here.File = name
			faults = append(faults, here.Error())
		}
		return valid, faults, nil
	}, nil
}

func (e *endpoint) checkByService(ctx context.Context, name string, body []byte) (valid view.JobValidated, faults []string, err error) {
	answer, err := e.call(ctx, http.MethodPost, "/api/Jobs/validate", body)
	var refusal *client.Refusal
	if errors.As(err, &refusal) && len(refusal.Errors) > 0 {
		for _, f := range refusal.Errors {
			faults = append(faults, name+": "+f.Pointer+": "+f.Detail)
		}
		return valid, faults, nil
	}
	if err != nil {
		return valid, nil, err
	}
	return valid, nil, json.Unmarshal(answer, &valid)
}

// validate checks one file and prints what is wrong with it.
func validate(cmd *cobra.Command, name string, check jobCheck) (bool, error) {
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
	fileID := ""
	if name != "-" {
		fileID = strings.TrimSuffix(filepath.Base(name), ".json")
	}
	valid, faults, err := check(name, fileID, body)
	if err != nil {
		return false, err
	}
	for _, f := range faults {
		if _, err := fmt.Fprintln(cmd.OutOrStdout(), wire.Printable(f)); err != nil {
			return false, err
		}
	}
	if len(faults) > 0 {
		return false, nil
	}
	if fileID != "" && fileID != valid.ID { // a service is not told what the file is called
		return say("id is %q, expected the file's name without .json, %q", valid.ID, fileID)
	}
	for _, warning := range valid.Warnings {
		if _, err := say("warning: %s", warning); err != nil {
			return false, err
		}
	}
	_, err = say("job %s can be used", valid.ID)
	return true, err
}
