package admincli

import (
	"fmt"
	"net/http"
	"net/url"

	"github.com/spf13/cobra"
)

func jobsCommand(e *endpoint) *cobra.Command {
	return group(&cobra.Command{Use: "jobs", Short: "Show, run, write and check jobs"},
		listJobsCommand(e), showJobCommand(e), runJobCommand(e), triggerJobCommand(e), listRunsCommand(e), tailRunCommand(e), cancelRunCommand(e),
		validateJobCommand(e), newJobCommand(), explainJobCommand(e), graphJobsCommand(e), reloadJobsCommand(e))
}

// jobPath is the path of a job in the API.
func jobPath(id string) string { return "/api/Jobs/" + url.PathEscape(id) }

// runPath is that of a run.
func runPath(id string) string { return "/api/Jobs/runs/" + url.PathEscape(id) }

func showJobCommand(e *endpoint) *cobra.Command {
	var id string
	cmd := &cobra.Command{
		Use:     "show ID",
		Short:   "Show one job with its file, as JSON",
		Example: "  KeeperAdminCLI jobs show log-version-info\n  KeeperAdminCLI jobs show log-version-info | jq .definition",
		Args:    oneJob(&id),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if id == "" {
				return errNoID
			}
			return e.pass(cmd, http.MethodGet, jobPath(id), nil)
		},
	}
	idFlag(cmd, &id)
	jsonFlag(cmd, new(bool)) // it always is
	return cmd
}

func reloadJobsCommand(e *endpoint) *cobra.Command {
	return &cobra.Command{
		Use:     "reload",
		Short:   "Read the job files again",
		Long:    "Read the job files again. The service notices changes by itself; this is for when it says that it could not.",
		Example: "  KeeperAdminCLI jobs reload",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return e.pass(cmd, http.MethodPost, "/api/Jobs/reload", nil)
		},
	}
}

func cancelRunCommand(e *endpoint) *cobra.Command {
	return &cobra.Command{
		Use:     "cancel RUN",
		Short:   "End a run",
		Long:    "End a run: what its task runs is killed, with everything that it has started.",
		Example: "  KeeperAdminCLI jobs cancel 3K7QZL2M4N5P6R7S8T9VWXYZAB",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if args[0] == "" {
				return fmt.Errorf("RUN is empty, expected a run's id: jobs runs shows them")
			}
			return e.pass(cmd, http.MethodPost, runPath(args[0])+"/cancel", nil)
		},
	}
}
