package admincli

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"
)

func triggerJobCommand(e *endpoint) *cobra.Command {
	var id, context string
	cmd := &cobra.Command{
		Use:     "trigger --id ID --context JSON",
		Short:   "Run a job with a context",
		Long:    "Run a job with a context, a JSON object whose members become its parameters.",
		Example: `  KeeperAdminCLI jobs trigger --id cleanup --context '{"olderThanDays": 30}'`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var object map[string]any
			if err := json.Unmarshal([]byte(context), &object); err != nil || object == nil {
				return fmt.Errorf("--context is %q, expected a JSON object", context)
			}
			return e.start(cmd, id, "trigger", []byte(context))
		},
	}
	idFlag(cmd, &id)
	cmd.Flags().StringVar(&context, "context", "{}", "JSON object")
	return cmd
}
