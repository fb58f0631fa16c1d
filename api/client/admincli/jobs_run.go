package admincli

import (
	"errors"
	"net/http"
	"net/url"

	"github.com/spf13/cobra"
)

func runJobCommand(e *endpoint) *cobra.Command {
	var id string
	cmd := &cobra.Command{
		Use:   "run --id ID",
		Short: "Run a job now",
		Long: `Run a job now and print the run's id, without waiting for its end.

Jobs that belong to a request start from their own events only.`,
		Example: "  KeeperAdminCLI jobs run --id log-version-info\n  KeeperAdminCLI --port 6889 jobs run --id log-version-info",
		Args:    cobra.NoArgs,
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
		return errors.New("--id is empty, expected a job's id: jobs list shows them")
	}
	return e.pass(cmd, http.MethodPost, "/api/Jobs/"+url.PathEscape(id)+"/"+verb, body)
}

func idFlag(cmd *cobra.Command, id *string) {
	cmd.Flags().StringVar(id, "id", "", "the job's id")
	if err := cmd.MarkFlagRequired("id"); err != nil {
		panic(err) // the flag was defined in the line above
	}
}
