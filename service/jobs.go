package service

import (
	"context"

	"kpm/core"
	"kpm/jobs"
	"kpm/jobs/task"
	"kpm/launcher/control"
)

// startJobs reads the jobs' files, and runs jobs from then on.
func (s *service) startJobs(context.Context, Options) error {
	var err error
	s.jobs, err = jobs.New(jobs.Config{
		Layout: s.layout, Platform: s.host.Facts.Platform, BaseEnvironment: s.host.Facts.BaseEnvironment,
		Kinds: task.Bundled(task.Config{
			Layout: s.layout, Platform: s.host.Facts.Platform, Starter: s.starter,
			Commands: task.BundledCommands(s.log.With("component", "jobs"), s.broker.PublishAs, commandsOf(control.Bundled()), s.launcher.Satisfy),
		}),
		Read: s.host.Files.ReadProtected, Taken: s.plugins.Has, Setting: s.effective.Get,
		APIBaseURL: s.apiBaseURL, LocalTransport: jobs.Transport(s.dial),
		Facts: s.launcher, Completed: s.completed, Log: s.log.With("component", "jobs"),
	})
	if err != nil {
		return err
	}
	s.onStop(s.jobs.Close)
	return nil
}

// commandsOf returns the task commands by which jobs have controls collected.
func commandsOf(list []control.Control) map[string]core.Control {
	commands := map[string]core.Control{}
	for _, c := range list {
		commands[c.Command()] = c.Name()
	}
	return commands
}
