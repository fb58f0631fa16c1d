package jobs

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"kpm/core/fault"
	"kpm/core/view"
	"kpm/settings"
)

// New reads the job files. A broken one is listed, says why and keeps no other
// from running. The error is that of a directory that cannot be read.
func New(cfg Config) (*Service, error) {
	entries, err := settings.ReadDirectory(cfg.Layout.Jobs(), maxJobFile, cfg.Read)
	if err != nil {
		return nil, fmt.Errorf("jobs: %w", err)
	}
	s := &Service{
		cfg: cfg, jobs: map[string]*job{}, byEvent: map[string][]*job{}, broken: map[string]view.Job{}, runs: map[string]*run{},
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	for _, e := range entries {
		s.add(e)
	}
	for _, j := range s.jobs {
		for _, event := range j.events {
			if j.disabled == "" {
				s.byEvent[event] = append(s.byEvent[event], j)
			}
		}
	}
	for _, list := range s.byEvent {
		slices.SortFunc(list, func(a, b *job) int {
			if a.priority != b.priority {
				return b.priority - a.priority
			}
			return strings.Compare(a.id, b.id)
		})
	}
	return s, nil
}

func (s *Service) add(e settings.Entry) {
	key := strings.ToLower(e.ID)
	if _, twice := s.jobs[key]; twice || s.broken[key].ID != "" {
		s.cfg.Log.Error("job file is ignored: another file is for the same job", "file", e.ID+".json")
		return
	}
	err := e.Err
	var j *job
	if err == nil {
		c := compiler{platform: s.cfg.Platform, kinds: s.cfg.Kinds}
		j, err = c.compile(e.ID, e.Doc)
	}
	// Attack: on the bus a principal is its name alone; a job called
	// KeeperPolicy would share that plugin's reply topics.
	if err == nil && s.cfg.Taken(j.id) {
		err = e.Doc.Fault("id", fault.Quote(j.id), "a name that no plugin has")
	}
	if err != nil {
		s.cfg.Log.Error("job file is broken; the job does not run", "job", e.ID, "error", err)
		s.broken[key] = view.Job{ID: e.ID, Name: e.ID, Detail: err.Error()}
		return
	}
	if j.disabled != "" || j.note != "" {
		s.cfg.Log.Info("job is restricted", "job", j.id, "reason", j.detail())
	}
	s.jobs[key] = j
}

func (j *job) detail() string {
	if j.disabled != "" {
		return j.disabled
	}
	return j.note
}

func (j *job) ownEvents() bool { return slices.ContainsFunc(j.events, requestEvent) }

// Validate checks a job file without registering it. The error is a
// *fault.Fault or a fault.List.
func (s *Service) Validate(fileID string, doc settings.Document) error {
	c := compiler{platform: s.cfg.Platform, kinds: s.cfg.Kinds}
	_, err := c.compile(fileID, doc)
	return err
}

// List returns every job, broken ones too, by id.
func (s *Service) List() []view.Job {
	list := slices.Collect(maps.Values(s.broken))
	for _, j := range s.jobs {
		list = append(list, view.Job{
			ID: j.id, Name: j.name, Description: j.description, Enabled: j.disabled == "",
			Detail: j.detail(), AllowPluginTrigger: j.pluginTrigger, OwnEventsOnly: j.ownEvents(),
		})
	}
	slices.SortFunc(list, func(a, b view.Job) int { return strings.Compare(a.ID, b.ID) })
	return list
}

// Topics returns what a job declares in mqttTopics.
func (s *Service) Topics(jobID string) (publish, subscribe []string) {
	j, ok := s.jobs[strings.ToLower(jobID)]
	if !ok || j.disabled != "" {
		return nil, nil
	}
	return slices.Clone(j.publish), slices.Clone(j.subscribe)
}
