package service

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"time"

	"kpm/api"
	"kpm/core"
	"kpm/core/view"
	"kpm/core/wire"
	"kpm/jobs"
	"kpm/jobs/history"
	"kpm/jobs/schedule"
	"kpm/jobs/task"
	"kpm/launcher/control"
)

// past is the history of jobs, and what an earlier service did not bring to an end. It is
// opened by whoever needs it first.
type past struct {
	once    sync.Once
	history *history.Store
	cutOff  []view.JobRun
	err     error
}

// openPast opens the history of jobs, unless that was done.
func (s *service) openPast() (jobs.History, error) {
	s.past.once.Do(func() {
		limits := history.Limits{Age: s.app.Jobs.HistoryAge, Bytes: s.app.Jobs.HistoryBytes}
		s.past.history, s.past.cutOff, s.past.err = history.Open(s.layout.JobHistory(), limits, time.Now(), s.log.With("component", "jobs"))
	})
	if s.past.err != nil {
		return nil, s.past.err
	}
	return s.past.history, nil
}

// closePast closes it. One that nobody has opened is not opened any more.
func (s *service) closePast(ctx context.Context) error {
	s.past.once.Do(func() { s.past.err = jobs.ErrClosed })
	if s.past.err != nil {
		return nil // whoever needed it has said so
	}
	return s.past.history.Close(ctx)
}

// canOpenPast says what would keep the history from being opened, as far as that can be
// told without SQLite. Where there is doubt it is opened.
func (s *service) canOpenPast() error {
	file, err := os.OpenFile(s.layout.JobHistory(), os.O_RDWR|os.O_CREATE, 0o600)
	if err == nil {
		return file.Close()
	}
	_, err = s.openPast()
	return err
}

// startJobs runs jobs from now on. Their history and their files are read once elevations
// are served, which is what people wait for; whoever needs a job before that waits for it.
// A history that cannot be opened is an error before anybody is told of a service.
func (s *service) startJobs(context.Context, Options) error {
	log := s.log.With("component", "jobs")
	s.onStop(s.closePast)
	if err := s.canOpenPast(); err != nil {
		return err
	}
	s.jobs = jobs.Prepare(jobs.Config{
		Layout: s.layout, Platform: s.host.Facts.Platform, Version: s.version, BaseEnvironment: s.host.Facts.BaseEnvironment,
		Kinds: task.Bundled(task.Config{
			Layout: s.layout, Platform: s.host.Facts.Platform, Starter: s.starter,
			Commands: task.BundledCommands(log, jobBus{s.broker, s.host.Accounts}, commandsOf(control.Bundled(s.inForceFactors(), s.factors, s.approvals, control.Justify{Minimum: s.app.ReasonMinimum, Reasons: s.app.Reasons})), s.launcher.Satisfy),
			Dialogs:  s.dialogs(),
		}),
		Read: s.host.Files.ReadProtected, Files: s.host.Files, Taken: s.plugins.Has, Setting: s.effective.Get, HasDesktop: s.hasDesktop,
		APIBaseURL: s.apiBaseURL, HTTPBaseURL: s.httpBaseURL, LocalTransport: s.local,
		MaxRunning: s.app.Jobs.MaxRunning, History: s.openPast, Clock: schedule.SystemClock(),
		Facts: s.launcher, Completed: s.completed, Log: log,
	})
	s.onStop(s.jobs.Close)
	return nil
}

// readJobs reads the jobs' files, unless somebody has needed one by now. A directory that
// cannot be read is an error, as is a history that cannot be opened.
func (s *service) readJobs(context.Context, Options) error {
	if err := s.jobs.Read(); err != nil {
		return err
	}
	s.warnTwice()
	return nil
}

// serveJobs starts jobs when they are due and notices changed files, from now on. What
// an earlier service was cut off in is said, and what may is run again.
func (s *service) serveJobs(ctx context.Context, _ Options) error {
	s.jobs.Resume(s.past.cutOff) // readJobs has opened it
	s.past.cutOff = nil
	s.background(ctx, s.jobs.Serve)
	s.background(ctx, s.jobs.Watch)
	return nil
}

// background runs f until the service stops.
func (s *service) background(ctx context.Context, f func(context.Context)) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan struct{})
	go func() {
		defer close(done)
		f(ctx)
	}()
	s.onStop(func(context.Context) error {
		cancel()
		<-done
		return nil
	})
}

// sessionsWithin bounds the question who is logged in.
const sessionsWithin = time.Second

// hasDesktop reports whether a user, or anybody if user is empty, has a session that can
// show windows. Where that cannot be told nobody has.
func (s *service) hasDesktop(user string) bool {
	ctx, cancel := context.WithTimeout(context.Background(), sessionsWithin)
	defer cancel()
	sessions, err := s.host.Sessions.List(ctx)
	if err != nil {
		return false
	}
	var wanted core.UserID
	if user != "" {
		account, err := s.host.Accounts.ByName(user)
		if err != nil {
			return false
		}
		wanted = account.User
	}
	for _, session := range sessions {
		if session.Graphical && (wanted == "" || session.User == wanted) {
			return true
		}
	}
	return false
}

// errPluginTrigger is why a plugin or task may not start a job.
var errPluginTrigger = core.NewError(core.NotPermitted, "its file does not let plugins start it (allowPluginTrigger)")

// asked hears who asks for a run of a job on the bus, with what tier Plugin may.
func (s *service) asked(from core.Principal, t wire.TriggerJob) {
	job, err := s.jobs.Get(t.JobID)
	switch {
	case err != nil:
	case !job.AllowPluginTrigger:
		err = errPluginTrigger
	default:
		_, err = s.jobs.Run(context.Background(), from, t.JobID, t.Context)
	}
	if err != nil {
		s.log.Warn("a job was not started", "from", from, "job", t.JobID, "error", err)
	}
}

// commandsOf returns the task commands by which jobs have controls collected.
func commandsOf(list []control.Control) map[string]core.Control {
	commands := map[string]core.Control{}
	for _, c := range list {
		commands[c.Command()] = c.Name()
	}
	return commands
}

// approvedJobs are the jobs, of which files are accepted that an administrator has
// written or removed through the API: else Last Known Good would undo it.
type approvedJobs struct {
	api.Jobs
	service *service
}

func (a approvedJobs) file(id string) string {
	return filepath.Join(a.service.layout.Jobs(), id+".json")
}

// Create implements api.Jobs.
func (a approvedJobs) Create(body []byte) (detail view.JobDetail, err error) {
	err = a.service.approving(func() (path string, err error) {
		detail, err = a.Jobs.Create(body)
		return a.file(detail.ID), err
	})
	return detail, err
}

// Update implements api.Jobs.
func (a approvedJobs) Update(id string, body []byte) (detail view.JobDetail, err error) {
	err = a.service.approving(func() (path string, err error) {
		detail, err = a.Jobs.Update(id, body)
		return a.file(id), err
	})
	return detail, err
}

// Delete implements api.Jobs.
func (a approvedJobs) Delete(id string) error {
	return a.service.approving(func() (path string, err error) { return a.file(id), a.Jobs.Delete(id) })
}
