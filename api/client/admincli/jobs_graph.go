package admincli

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"kpm/core/view"
	"kpm/core/wire"
)

func graphJobsCommand(e *endpoint) *cobra.Command {
	return &cobra.Command{
		Use:   "graph [ID...]",
		Short: "Draw what starts jobs, and how their tasks follow one another",
		Long: `Print jobs as a graph in the DOT language: events and schedules that start them,
alternates, and the routes between their tasks.`,
		Example: "  KeeperAdminCLI jobs graph | dot -Tsvg > jobs.svg\n  KeeperAdminCLI jobs graph LaunchPrivilegeElevation",
		RunE: func(cmd *cobra.Command, ids []string) error {
			if len(ids) == 0 {
				var list []view.Job
				if err := e.get(cmd.Context(), "/api/Jobs", &list); err != nil {
					return err
				}
				for _, job := range list {
					ids = append(ids, job.ID)
				}
			}
			g := graph{lines: map[string]bool{}}
			for _, id := range ids {
				var job view.JobDetail
				if err := e.get(cmd.Context(), jobPath(id), &job); err != nil {
					return err
				}
				if err := g.add(job); err != nil {
					return err
				}
			}
			return g.print(cmd)
		},
	}
}

// graph collects the lines of a DOT graph, each once.
type graph struct{ lines map[string]bool }

func (g graph) line(format string, args ...any) { g.lines[fmt.Sprintf(format, args...)] = true }

// node is a name in quotes. Names come from files.
func node(kind, name string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(wire.Printable(kind+" "+name)) + `"`
}

// taskOfGraph is what a graph shows of a task.
type taskOfGraph struct {
	ID, Command, OnSuccess, OnFailure string
	ContinueOnFailure                 bool
	Parameters                        json.RawMessage
}

func (g graph) add(job view.JobDetail) error {
	self := node("job", job.ID)
	style := "box"
	if !job.Enabled {
		style = "box, style=dashed"
	}
	g.line("%s [shape=%s];", self, style)
	for _, event := range job.Events {
		g.line("%s -> %s;", node("event", event), self)
	}
	if len(job.Definition) == 0 {
		return nil
	}
	var file struct {
		Schedule       json.RawMessage
		AlternateJobID string
		Tasks          []taskOfGraph
	}
	if err := json.Unmarshal(job.Definition, &file); err != nil {
		return fmt.Errorf("job %s: %w", job.ID, err)
	}
	if schedule := strings.Join(strings.Fields(string(file.Schedule)), ""); schedule != "" && schedule != "{}" && schedule != "null" {
		g.line("%s -> %s;", node("schedule", schedule), self)
	}
	if file.AlternateJobID != "" {
		g.line("%s -> %s [label=\"condition not met\", style=dashed];", self, node("job", file.AlternateJobID))
	}
	task := func(id string) string { return node("task", job.ID+"/"+id) }
	ends := func(to string) bool { // a task may be called fail
		named := slices.ContainsFunc(file.Tasks, func(t taskOfGraph) bool { return t.ID == to })
		return !named && (strings.EqualFold(to, "stop") || strings.EqualFold(to, "fail"))
	}
	for i, t := range file.Tasks {
		g.line("%s [label=%s];", task(t.ID), node(t.ID, "("+t.Command+")"))
		if i == 0 {
			g.line("%s -> %s;", self, task(t.ID))
		}
		next := ""
		if i+1 < len(file.Tasks) {
			next = file.Tasks[i+1].ID
		}
		success, failure := t.OnSuccess, t.OnFailure
		if success == "" {
			success = next
		}
		if failure == "" && t.ContinueOnFailure {
			failure = next
		}
		if success != "" && !ends(success) {
			g.line("%s -> %s;", task(t.ID), task(success))
		}
		if failure != "" && !ends(failure) && failure != success {
			g.line("%s -> %s [label=\"failed\", style=dotted];", task(t.ID), task(failure))
		}
		if event := raised(t.Parameters); event != "" {
			g.line("%s -> %s [style=dashed];", task(t.ID), node("event", event))
		}
	}
	return nil
}

// raised is the event that a publish-mqtt task publishes; empty if it is none.
func raised(parameters json.RawMessage) string {
	var p struct {
		EventName string
		Payload   struct {
			EventName string
			Payload   struct{ EventName string }
		}
	}
	if json.Unmarshal(parameters, &p) != nil {
		return ""
	}
	return p.EventName + p.Payload.EventName + p.Payload.Payload.EventName
}

func (g graph) print(cmd *cobra.Command) error {
	_, err := fmt.Fprintf(cmd.OutOrStdout(), "digraph jobs {\n  rankdir=LR;\n  %s\n}\n", strings.Join(slices.Sorted(maps.Keys(g.lines)), "\n  "))
	return err
}
