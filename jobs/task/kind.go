package task

import (
	"context"
	"log/slog"
	"net/http"
	"slices"
	"strings"

	"kpm/core"
	"kpm/core/fault"
	"kpm/settings"
)

// Task is one compiled task of a job. One value serves every run of the job, at
// the same time.
type Task interface {
	// Run does the task's work within ctx. found is for the context of the
	// run, also when there is an error beside it.
	Run(ctx context.Context, r Run) (found map[string]any, err error)
}

// Installed is a task that needs something which may not be there.
type Installed interface {
	// Missing says what is not there now; nil if nothing is.
	Missing() error
}

// Run is what a task may ask of the run that it belongs to.
type Run interface {
	// Principal is who the task acts as, towards everyone.
	Principal() core.Principal
	// Value returns what a token of a job file stands for in this run. The
	// error names the token. Where a value goes decides how it is written:
	// Argument, JSON, Query.
	Value(token string) (string, error)
	// Environment is the whole environment of a program, as KEY=value.
	Environment() []string
	// Masked is text without the secrets that the run knows.
	Masked(text string) string
	// Report is told what the task did, for the history; the last counts.
	Report(Report)
	// Held are the addresses of the local API that the service holds, as
	// scheme://127.0.0.1:port.
	Held() []string
	// Local reaches the local API as the run.
	Local() http.RoundTripper
	Log() *slog.Logger
}

// Report is what a task did, as far as the history keeps it. Output is text, bounded.
type Report struct {
	Exit        *core.ExitStatus // nil if no program ran to its end
	Output      string           // its beginning
	ErrorOutput string           // its end
	Cut         bool             // there was more
}

// Kind is one row of the table of kinds.
type Kind struct {
	// Type is the ExecutionType that job files write, in any letter case.
	Type string
	// Takes tells kinds of one Type apart; nil takes every task of it.
	Takes func(*Source) bool
	// Fields is a value of the type that Compile decodes the kind's own fields
	// into; docs/schemas/job.schema.json is generated from its tags.
	Fields any
	// Compile reads the kind's own fields. What is wrong with them goes to
	// Source.Expect; the task is not used then.
	Compile func(*Source) Task
}

// Kinds is a table of kinds. Of several that take a task, the first has it.
type Kinds []Kind

// DefaultType is the ExecutionType of a task that names none.
const DefaultType = "Service"

// Config is what the bundled kinds need.
type Config struct {
	Layout   settings.Layout
	Platform core.Platform
	Starter  Starter
	Commands Commands
	Dialogs  Dialogs
}

// Bundled returns the table of the kinds that are part of the service.
func Bundled(cfg Config) Kinds {
	return append(Kinds{
		Builtin(cfg.Commands), // before programs: a built-in's name is its own
		Program(cfg),
		HTTP(),
	}, Sessions(cfg)...)
}

// Compile compiles the task that s is, or records why it cannot: then it
// returns nil, or what must not be used.
func (k Kinds) Compile(executionType string, s *Source) Task {
	if executionType == "" {
		executionType = DefaultType
	}
	for _, kind := range k {
		if strings.EqualFold(kind.Type, executionType) && (kind.Takes == nil || kind.Takes(s)) {
			return kind.Compile(s)
		}
	}
	s.Expect(false, "ExecutionType", fault.Quote(executionType), k.types())
	return nil
}

// types lists the execution types for a message: "A, B or C".
func (k Kinds) types() string {
	var types []string
	for _, kind := range k {
		if !slices.Contains(types, kind.Type) {
			types = append(types, kind.Type)
		}
	}
	if len(types) < 2 {
		return strings.Join(types, "")
	}
	last := len(types) - 1
	return strings.Join(types[:last], ", ") + " or " + types[last]
}
