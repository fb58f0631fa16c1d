package jobs

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"

	"kpm/core"
	"kpm/core/view"
	"kpm/jobs/schedule"
	"kpm/jobs/task"
	"kpm/settings"
)

// CheckerConfig is what NewChecker needs; every field is required.
type CheckerConfig struct {
	Layout   settings.Layout
	Platform core.Platform
	// Read reads a job file (settings.ReadDocument).
	Read settings.Reader
	// Controls are the built-in commands that have a control collected.
	Controls map[string]core.Control
}

// Checker checks job files as the service of an agent root would, without it. It starts
// nothing.
type Checker struct{ service *Service }

// NewChecker reads the jobs and the plugins' names that lie in the agent root: alternates
// have to be there, and names are used once. The error is that of a directory that cannot
// be read.
func NewChecker(cfg CheckerConfig) (*Checker, error) {
	plugins, err := pluginNames(cfg.Layout.Plugins())
	if err != nil {
		return nil, err
	}
	s := &Service{cfg: Config{
		Layout: cfg.Layout, Platform: cfg.Platform, Read: cfg.Read, Clock: schedule.SystemClock(), Log: slog.New(slog.DiscardHandler),
		Kinds: task.Bundled(task.Config{Layout: cfg.Layout, Platform: cfg.Platform, Commands: task.BundledCommands(nil, nil, cfg.Controls, nil)}),
		Taken: func(id string) bool { return slices.Contains(plugins, strings.ToLower(id)) },
	}}
	s.first = sync.OnceValue(func() error {
		read, err := s.read(&catalog{})
		s.catalog.Store(read)
		return err
	})
	if err := s.first(); err != nil {
		return nil, err
	}
	return &Checker{s}, nil
}

// Check checks a job as its file would be, for the file {fileID}.json; an empty fileID is
// the id that it says itself. The error is a *fault.Fault or a fault.List, whose File is
// body.
func (c *Checker) Check(fileID string, body []byte) (view.JobValidated, error) {
	return c.service.Validate(fileID, body)
}

// pluginNames are the names of plugin files, folded.
func pluginNames(dir string) (names []string, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("jobs: %w", err)
	}
	for _, e := range entries {
		if id, ok := strings.CutSuffix(e.Name(), ".json"); ok {
			names = append(names, strings.ToLower(id))
		}
	}
	return names, nil
}
