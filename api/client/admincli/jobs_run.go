package admincli

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/spf13/cobra"
)

func runJobCommand(e *endpoint) *cobra.Command {
	var id string
	cmd := &cobra.Command{
		Use:   "run ID",
		Short: "Run a job now",
		Long: `Run a job now and print the run's id, without waiting for its end.

Jobs that belong to a request start from their own events only.`,
		Example: "  KeeperAdminCLI jobs run log-version-info\n  KeeperAdminCLI --port 6889 jobs run --id log-version-info",
		Args:    oneJob(&id),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return e.start(cmd, id, "run", nil)
		},
	}
	idFlag(cmd, &id)
	return cmd
}

// start starts a job and prints the answer, which is JSON already.
func (e *endpoint) start(cmd *cobra.Command, id, verb string, body []byte) error {
	if id == "" {
		return errors.New("ID is empty, expected a job's id: jobs list shows them")
	}
	return e.pass(cmd, http.MethodPost, "/api/Jobs/"+url.PathEscape(id)+"/"+verb, body)
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
