package admincli

import (
	"cmp"
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
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "graph [ID...]",
		Short: "Draw what starts jobs, and how their tasks follow one another",
		Long: `Print jobs as a graph in the DOT language: events and schedules that start them,
alternates, and the routes between their tasks. With --json it is the same as nodes
and edges.`,
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
			g := graph{nodes: map[graphNode]bool{}, edges: map[graphEdge]bool{}}
			for _, id := range ids {
				var job view.JobDetail
				if err := e.get(cmd.Context(), jobPath(id), &job); err != nil {
					return err
				}
				if err := g.add(job); err != nil {
					return err
				}
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), g.sorted())
			}
			return g.print(cmd)
		},
	}
	jsonFlag(cmd, &asJSON)
	return cmd
}

// graph collects nodes and edges, each once.
type graph struct {
	nodes map[graphNode]bool
	edges map[graphEdge]bool
}

type graphNode struct {
	Node    string `json:"node"` // "job ID" or "task JOB/ID"; events and schedules are in edges alone
	Label   string `json:"label,omitempty"`
	Enabled bool   `json:"enabled"`
}

type graphEdge struct {
	From string `json:"from"`
	To   string `json:"to"`
	When string `json:"when,omitempty"` // one of the edges' conditions below
}

const (
	whenNotMet    = "condition not met"
	whenFailed    = "failed"
	whenPublished = "published"
)

func (g graph) edge(from, to, when string) { g.edges[graphEdge{from, to, when}] = true }

// node is a name. Names come from files.
func node(kind, name string) string { return wire.Printable(kind + " " + name) }

// quoted is a name as DOT has it.
func quoted(name string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(name) + `"`
}

// graphShown is what "jobs graph --json" prints.
type graphShown struct {
	Nodes []graphNode `json:"nodes"`
	Edges []graphEdge `json:"edges"`
}

func (g graph) sorted() graphShown {
	return graphShown{
		Nodes: slices.SortedFunc(maps.Keys(g.nodes), func(a, b graphNode) int { return strings.Compare(a.Node, b.Node) }),
		Edges: slices.SortedFunc(maps.Keys(g.edges), func(a, b graphEdge) int {
			return cmp.Or(strings.Compare(a.From, b.From), strings.Compare(a.To, b.To), strings.Compare(a.When, b.When))
		}),
	}
}

// taskOfGraph is what a graph shows of a task.
type taskOfGraph struct {
	ID, Command, OnSuccess, OnFailure string
	ContinueOnFailure                 bool
	Parameters                        json.RawMessage
}

func (g graph) add(job view.JobDetail) error {
	self := node("job", job.ID)
	g.nodes[graphNode{Node: self, Enabled: job.Enabled}] = true
	for _, event := range job.Events {
		g.edge(node("event", event), self, "")
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
		g.edge(node("schedule", schedule), self, "")
	}
	if file.AlternateJobID != "" {
		g.edge(self, node("job", file.AlternateJobID), whenNotMet)
	}
	task := func(id string) string { return node("task", job.ID+"/"+id) }
	ends := func(to string) bool { // a task may be called fail
		named := slices.ContainsFunc(file.Tasks, func(t taskOfGraph) bool { return t.ID == to })
		return !named && (strings.EqualFold(to, "stop") || strings.EqualFold(to, "fail"))
	}
	for i, t := range file.Tasks {
		g.nodes[graphNode{Node: task(t.ID), Label: node(t.ID, "("+t.Command+")"), Enabled: job.Enabled}] = true
		if i == 0 {
			g.edge(self, task(t.ID), "")
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
			g.edge(task(t.ID), task(success), "")
		}
		if failure != "" && !ends(failure) && failure != success {
			g.edge(task(t.ID), task(failure), whenFailed)
		}
		if event := raised(t.Parameters); event != "" {
			g.edge(task(t.ID), node("event", event), whenPublished)
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
	var lines []string
	for n := range g.nodes {
		attributes := "shape=box"
		switch {
		case n.Label != "":
			attributes = "label=" + quoted(n.Label)
		case !n.Enabled:
			attributes = "shape=box, style=dashed"
		}
		lines = append(lines, fmt.Sprintf("%s [%s];", quoted(n.Node), attributes))
	}
	for e := range g.edges {
		attributes := map[string]string{
			whenNotMet: ` [label="condition not met", style=dashed]`, whenFailed: ` [label="failed", style=dotted]`, whenPublished: " [style=dashed]",
		}[e.When]
		lines = append(lines, fmt.Sprintf("%s -> %s%s;", quoted(e.From), quoted(e.To), attributes))
	}
	slices.Sort(lines)
	_, err := fmt.Fprintf(cmd.OutOrStdout(), "digraph jobs {\n  rankdir=LR;\n  %s\n}\n", strings.Join(lines, "\n  "))
	return err
}
