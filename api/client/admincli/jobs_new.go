package admincli

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"kpm/core"
)

func newJobCommand() *cobra.Command {
	var command, cron, event string
	var every int
	cmd := &cobra.Command{
		Use:   "new ID",
		Short: "Print a job file to begin with",
		Long: `Print a job file to begin with. Install it as Jobs/ID.json below the agent root, owned
by root; its program goes to Jobs/bin/COMMAND/COMMAND.`,
		Example: "  KeeperAdminCLI jobs new disk-report --every 60 > disk-report.json\n  KeeperAdminCLI jobs new on-scan --event ScanFinished --command on-scan",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			id := args[0]
			if !core.ValidName(id) || strings.Contains(id, "_") {
				return fmt.Errorf("ID is %q, expected 1 to 64 letters, digits, dots and hyphens", id)
			}
			if every < 0 || every > 0 && cron != "" {
				return errors.New("expected --every MINUTES or --cron EXPRESSION, not both")
			}
			if command == "" {
				command = id
			}
			return printSkeleton(cmd, id, command, cron, event, every)
		},
	}
	cmd.Flags().StringVar(&command, "command", "", "the program, a bare name; the job's id if it is left out")
	cmd.Flags().IntVar(&every, "every", 0, "run every so many minutes")
	cmd.Flags().StringVar(&cron, "cron", "", `run at these times, like "30 3 * * mon-fri"`)
	cmd.Flags().StringVar(&event, "event", "", "run when this event is published; Startup is the start of the service")
	return cmd
}

func printSkeleton(cmd *cobra.Command, id, command, cron, event string, every int) error {
	type object = map[string]any
	job := []struct {
		key   string
		value any
	}{{"id", id}, {"name", id}, {"description", "SCENARIO: say here what this job is for"}, {"enabled", true}, {"priority", 5}}
	add := func(key string, value any) {
		job = append(job, struct {
			key   string
			value any
		}{key, value})
	}
	switch {
	case every > 0:
		add("schedule", object{"intervalMinutes": every})
	case cron != "":
		add("schedule", object{"cronExpression": cron})
	}
	switch event {
	case "":
	case "Startup":
		add("events", []object{{"eventType": event}})
	default:
		add("events", []object{{"eventType": "Custom", "customEvent": event}})
	}
	add("parameters", []object{})
	add("mqttTopics", object{"allowedPublications": []string{"KeeperLogger"}, "allowedSubscriptions": []string{}})
	add("tasks", []object{{"id": "run", "name": "Run " + command, "ExecutionType": "Service", "command": command, "arguments": "--keeper-api-base={KeeperApiBaseUrl}", "timeoutSeconds": 3600, "continueOnFailure": false}})
	var b strings.Builder
	for i, field := range job {
		value, err := json.MarshalIndent(field.value, "  ", "  ")
		if err != nil {
			return err
		}
		end := ","
		if i == len(job)-1 {
			end = ""
		}
		fmt.Fprintf(&b, "  %q: %s%s\n", field.key, value, end)
	}
	_, err := fmt.Fprintf(cmd.OutOrStdout(), "{\n%s}\n", b.String())
	return err
}
