package admincli

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"kpm/core/view"
	"kpm/core/wire"
)

func tailRunCommand(e *endpoint) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "tail RUN",
		Short: "Show what happens in a run until it ends",
		Long: `Show what has happened in a run, and what happens until it ends: each task as it
begins and ends. The exit status is 1 if the run does not succeed.`,
		Example: "  KeeperAdminCLI jobs tail 3K7QZL2M4N5P6R7S8T9VWXYZAB",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if args[0] == "" {
				return errors.New("RUN is empty, expected a run's id: jobs runs shows them")
			}
			return e.follow(cmd, args[0], asJSON)
		},
	}
	jsonFlag(cmd, &asJSON)
	return cmd
}

// errCutOff is why the end of a run is not known.
var errCutOff = errors.New("the service ended the stream before the run: jobs tail goes on")

// follow prints what happens in a run until it ends.
func (e *endpoint) follow(cmd *cobra.Command, runID string, asJSON bool) error {
	c, err := e.client()
	if err != nil {
		return err
	}
	defer c.Close()
	last := view.JobRun{}
	err = c.Stream(cmd.Context(), runPath(runID)+"/events", func(_ string, data []byte) error {
		var event view.JobRunEvent
		if err := json.Unmarshal(data, &event); err != nil {
			return err
		}
		if event.Run != nil {
			last = *event.Run
		}
		switch {
		case asJSON:
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s\n", ascii(data))
			return err
		case event.Task != nil:
			return printTask(cmd, *event.Task, false)
		case event.Run != nil:
			return printEnd(cmd, *event.Run)
		}
		return nil
	})
	switch {
	case err != nil:
		return err
	case last.State == "succeeded":
		return nil
	case last.EndedAt.IsZero():
		return errCutOff
	}
	return errFault
}

func printEnd(cmd *cobra.Command, r view.JobRun) error {
	text := "run " + r.ID + " of " + r.JobID + ": " + r.State
	if r.Reason != "" {
		text += ": " + wire.PrintableLine(r.Reason)
	}
	_, err := fmt.Fprintln(cmd.OutOrStdout(), wire.Printable(text))
	return err
}

// printTask prints one task, with what it wrote if all is true or it has failed.
func printTask(cmd *cobra.Command, t view.TaskRun, all bool) error {
	text := fmt.Sprintf("  %d %s: %s", t.Number, t.TaskID, t.State)
	if t.Attempts > 1 {
		text += fmt.Sprintf(" after %d tries", t.Attempts)
	}
	if d := took(t.StartedAt, t.EndedAt); d != "" && t.State != "skipped" {
		text += " in " + d
	}
	if t.Reason != "" {
		text += ": " + wire.PrintableLine(t.Reason)
	}
	if _, err := fmt.Fprintln(cmd.OutOrStdout(), wire.Printable(text)); err != nil {
		return err
	}
	if !all && t.State != "failed" {
		return nil
	}
	for _, from := range []struct{ name, output string }{{"", t.Output}, {"stderr: ", t.ErrorOutput}} {
		for line := range strings.SplitSeq(strings.TrimRight(from.output, "\n"), "\n") {
			if line == "" {
				continue
			}
			if _, err := fmt.Fprintln(cmd.OutOrStdout(), "    "+from.name+wire.Printable(strings.ReplaceAll(line, "\t", "  "))); err != nil {
				return err
			}
		}
	}
	return nil
}
