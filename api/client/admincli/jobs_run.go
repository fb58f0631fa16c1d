package admincli

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/spf13/cobra"

	"kpm/core/view"
)

func runJobCommand(e *endpoint) *cobra.Command {
	var id string
	var given parameters
	var follow bool
	cmd := &cobra.Command{
		Use:   "run ID",
		Short: "Run a job now",
		Long: `Run a job now and print the run's id, without waiting for its end. With --follow,
show each task as it begins and ends, and exit with 1 if the run does not succeed.

Jobs that belong to a request start from their own events only.`,
		Example: "  KeeperAdminCLI jobs run log-version-info\n  KeeperAdminCLI jobs run cleanup --param olderThanDays=30 --follow\n  KeeperAdminCLI --port 6889 jobs run --id log-version-info",
		Args:    oneJob(&id),
		RunE: func(cmd *cobra.Command, _ []string) error {
			body, err := given.body("")
			if err != nil {
				return err
			}
			return e.start(cmd, id, "run", body, follow)
		},
	}
	idFlag(cmd, &id)
	given.flag(cmd)
	followFlag(cmd, &follow)
	return cmd
}

func followFlag(cmd *cobra.Command, follow *bool) {
	cmd.Flags().BoolVarP(follow, "follow", "f", false, "show what happens until the run ends")
}

var errNoID = errors.New("ID is empty, expected a job's id: jobs list shows them")

// start starts a job and prints the answer, which is JSON already, or what happens.
func (e *endpoint) start(cmd *cobra.Command, id, verb string, body []byte, follow bool) error {
	if id == "" {
		return errNoID
	}
	path := jobPath(id) + "/" + verb
	if !follow {
		return e.pass(cmd, http.MethodPost, path, body)
	}
	answer, err := e.call(cmd.Context(), http.MethodPost, path, body)
	if err != nil {
		return err
	}
	var started view.RunStarted
	if err := json.Unmarshal(answer, &started); err != nil {
		return err
	}
	return e.follow(cmd, started.RunID, false)
}

// parameters are values of --param.
type parameters struct{ list []string }

func (p *parameters) flag(cmd *cobra.Command) {
	cmd.Flags().StringArrayVar(&p.list, "param", nil, "a parameter as NAME=VALUE, several times if need be; VALUE is JSON if it can be read as such, else text")
}

// body is the parameters as a JSON object, together with those of context, which is one;
// nil if there are none.
func (p *parameters) body(context string) ([]byte, error) {
	values := map[string]json.RawMessage{}
	if context != "" {
		if err := json.Unmarshal([]byte(context), &values); err != nil {
			return nil, err
		}
	}
	if len(p.list) == 0 {
		if context == "" {
			return nil, nil
		}
		return []byte(context), nil
	}
	for _, given := range p.list {
		name, value, ok := strings.Cut(given, "=")
		if !ok || name == "" {
			return nil, fmt.Errorf("--param is %q, expected NAME=VALUE", given)
		}
		if _, twice := values[name]; twice {
			return nil, fmt.Errorf("--param %s is given twice", name)
		}
		raw := json.RawMessage(value)
		if !json.Valid(raw) {
			text, err := json.Marshal(value)
			if err != nil {
				return nil, err
			}
			raw = text
		}
		values[name] = raw
	}
	return json.Marshal(values)
}

// idFlag is how the published examples name a job.
func idFlag(cmd *cobra.Command, id *string) {
	cmd.Flags().StringVar(id, "id", "", "the job's id, if it does not stand by itself")
}

// oneJob takes the job's id from the flag or from the only argument.
func oneJob(id *string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		flagged := cmd.Flags().Changed("id")
		switch {
		case len(args) == 0 && !flagged:
			return fmt.Errorf("which job? %s ID; jobs list shows them", cmd.CommandPath())
		case len(args) > 1 || len(args) == 1 && flagged:
			return fmt.Errorf("%q: expected one job's id, and once", args)
		case !flagged:
			*id = args[0]
		}
		return nil
	}
}
