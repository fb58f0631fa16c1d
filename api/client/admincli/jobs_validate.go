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
)

// maxJobFile bounds a job file, in bytes, as the service does.
const maxJobFile = 1 << 20

func validateJobCommand(e *endpoint) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
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
				found, err := validate(cmd, name, check)
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
	v.Said = append(v.Said, v.File+": "+fmt.Sprintf(format, args...))
}

func (v validated) print(w io.Writer, asJSON bool) error {
	if asJSON {
		return printJSON(w, v)
	}
	for _, said := range v.Said {
		if err := line(w, "%s", said); err != nil {
			return err
		}
	}
	return nil
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

// validate checks one file.
func validate(cmd *cobra.Command, name string, check jobCheck) (validated, error) {
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
	fileID := ""
	if name != "-" {
		fileID = strings.TrimSuffix(filepath.Base(name), ".json")
	}
	valid, faults, err := check(name, fileID, body)
	if err != nil {
		return found, err
	}
	if found.Said = append(found.Said, faults...); len(faults) > 0 {
		return found, nil
	}
	if fileID != "" && fileID != valid.ID { // a service is not told what the file is called
		found.say("id is %q, expected the file's name without .json, %q", valid.ID, fileID)
		return found, nil
	}
	for _, warning := range valid.Warnings {
		found.say("warning: %s", warning)
	}
	found.say("job %s can be used", valid.ID)
	found.Usable = true
	return found, nil
}
