package admincli

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"kpm/core/strictjson"
)

// maxContextDepth bounds how deep objects and lists nest in a context, as the
// local API does with bodies.
const maxContextDepth = 32

func triggerJobCommand(e *endpoint) *cobra.Command {
	var id, context string
	var given parameters
	var follow bool
	cmd := &cobra.Command{
		Use:   "trigger ID --context JSON",
		Short: "Run a job with a context",
		Long:  "Run a job with a context, a JSON object whose members become its parameters.",
		Example: `  KeeperAdminCLI jobs trigger cleanup --context '{"olderThanDays": 30}'
  KeeperAdminCLI jobs trigger cleanup --param olderThanDays=30 --follow`,
		Args: oneJob(&id),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkContext(context); err != nil {
				return err
			}
			body, err := given.body(context)
			if err != nil {
				return err
			}
			return e.start(cmd, id, "trigger", body, follow)
		},
	}
	idFlag(cmd, &id)
	given.flag(cmd)
	followFlag(cmd, &follow)
	cmd.Flags().StringVar(&context, "context", "{}", "JSON object")
	return cmd
}

// checkContext refuses what the agent would refuse, in the words of the command
// line.
func checkContext(text string) error {
	v, err := strictjson.Parse([]byte(text), len(text))
	if err != nil || !v.IsObject() {
		return fmt.Errorf("--context is %q, expected a JSON object", text)
	}
	var e *strictjson.Error
	if err := v.Check(maxContextDepth); errors.As(err, &e) {
		return e.Fault("--context")
	}
	return nil
}
