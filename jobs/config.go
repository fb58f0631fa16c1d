package jobs

import (
	"log/slog"
	"net/http"
	"os"

	"kpm/core"
	"kpm/core/view"
	"kpm/core/wire"
	"kpm/jobs/schedule"
	"kpm/jobs/task"
	"kpm/settings"
)

// Facts hears what happened. It decides what that means.
type Facts interface {
	// EventUnhandled: no enabled job could be started for the event, or the
	// conditions of those that name it were not met.
	EventUnhandled(event string, id core.RequestID)
	// JobEnded: a run has ended, with its error or nil. event is empty for a
	// run that was started by name. A run that stood in for another job, as its
	// alternate, is told of by that job's name.
	JobEnded(run core.Principal, event string, err error)
}

// History keeps what runs did.
type History interface {
	schedule.Memory
	// Save keeps a run and, with it, that its schedule was due; when it returns nil,
	// both survive the service. One that is queued replaces no record that there is.
	Save(run view.JobRun, due ...schedule.Due) error
	// Note is Save for what need not be waited for.
	Note(run view.JobRun, due ...schedule.Due) error
	// Settle says that nothing more is to be done about a run that was cut off.
	Settle(runID string) error
	SaveTask(runID string, task view.TaskRun) error
	// NoteTask is SaveTask for what need not be written at once.
	NoteTask(runID string, task view.TaskRun) error
	Run(id string) (view.JobRun, error)
	Runs(view.JobRunFilter) (view.JobRuns, error)
}

// Files changes job files.
type Files interface {
	WriteAtomic(path string, data []byte, perm os.FileMode) error
}

// Config is what New needs; every field is required.
type Config struct {
	Layout   settings.Layout
	Platform core.Platform
	Version  string
	// BaseEnvironment is what every process starts with (port.Facts).
	BaseEnvironment []string
	// Kinds are the kinds of task that job files may have.
	Kinds task.Kinds
	// Read reads a job file (settings.ReadDocument).
	Read  settings.Reader
	Files Files
	// Taken reports whether a plugin has this id.
	Taken func(id string) bool
	// Setting returns an effective plugin setting without reading a file.
	Setting func(plugin, key string) (string, bool)
	// HasDesktop reports whether a user has a session that can show windows.
	HasDesktop func(user string) bool
	// LocalTransport reaches the local API as run.
	LocalTransport func(run core.Principal) http.RoundTripper
	// APIBaseURL is "https://127.0.0.1:{port}", or empty while that port is
	// not held.
	APIBaseURL func() string
	// HTTPBaseURL is the same for the port of HTTP.
	HTTPBaseURL func() string
	// MaxRunning bounds the runs under way that act for no request.
	MaxRunning int
	// History opens the history. It is called once, when somebody first needs a job or a run.
	History func() (History, error)
	Clock   schedule.Clock
	Facts   Facts
	// Completed is told of every run that ended.
	Completed func(wire.JobCompleted)
	Log       *slog.Logger
}
