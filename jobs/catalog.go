package jobs

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"kpm/core/fault"
	"kpm/core/view"
	"kpm/jobs/schedule"
	"kpm/jobs/task"
	"kpm/settings"
)

// catalog is every job file as it was read. It does not change.
type catalog struct {
	jobs    map[string]*job     // by folded id
	byEvent map[string][]*job   // enabled ones, higher priority first
	broken  map[string]view.Job // by folded id
	digests map[string][sha256.Size]byte
}

// Reload reads the job files again and returns the ids of those that changed,
// came or went. Runs that are under way go on as they began. A file that has
// become broken leaves the job as it was, and says so.
func (s *Service) Reload() (changed []string, err error) {
	s.changing.Lock()
	defer s.changing.Unlock()
	return s.reload()
}

func (s *Service) reload() (changed []string, err error) {
	if err := s.first(); err != nil {
		return nil, err
	}
	before := s.held()
	after, err := s.read(before)
	if err != nil {
		return nil, err
	}
	for key, digest := range after.digests {
		if old, known := before.digests[key]; !known || old != digest {
			changed = append(changed, key)
		}
	}
	for key := range before.digests {
		if _, kept := after.digests[key]; !kept {
			changed = append(changed, key)
		}
	}
	slices.Sort(changed)
	s.catalog.Store(after)
	s.timer.Set(after.schedules())
	return changed, nil
}

// schedules are those of the jobs that run, by folded id.
func (c *catalog) schedules() map[string]*schedule.Schedule {
	all := map[string]*schedule.Schedule{}
	for key, j := range c.jobs {
		if j.schedule != nil && j.disabled == "" {
			all[key] = j.schedule
		}
	}
	return all
}

// read reads the job files, after those of an earlier catalog.
func (s *Service) read(before *catalog) (*catalog, error) {
	entries, err := settings.ReadDirectory(s.cfg.Layout.Jobs(), maxJobFile, s.cfg.Read)
	if err != nil {
		return nil, fmt.Errorf("jobs: %w", err)
	}
	c := &catalog{jobs: map[string]*job{}, byEvent: map[string][]*job{}, broken: map[string]view.Job{}, digests: map[string][sha256.Size]byte{}}
	compiler := s.compiler()
	for _, e := range entries {
		s.add(c, before, e, compiler)
	}
	for _, j := range c.jobs {
		if why := c.alternates(j); why != "" {
			j = c.without(j, why)
			s.cfg.Log.Error("job does not run", "job", j.id, "error", why)
		}
	}
	for _, j := range c.jobs {
		for _, event := range j.events {
			if j.disabled == "" {
				c.byEvent[event] = append(c.byEvent[event], j)
			}
		}
	}
	for _, list := range c.byEvent {
		slices.SortFunc(list, func(a, b *job) int {
			if a.priority != b.priority {
				return b.priority - a.priority
			}
			return strings.Compare(a.id, b.id)
		})
	}
	return c, nil
}

// alternates says what is wrong with where a job's alternates lead; empty if nothing is.
func (c *catalog) alternates(j *job) string {
	seen := []string{j.id}
	for at := j; at.alternate != ""; {
		next, ok := c.jobs[strings.ToLower(at.alternate)]
		switch {
		case !ok && at == j:
			return fmt.Sprintf("alternateJobId is %s, expected a job that there is, and whose file is not broken", fault.Quote(at.alternate))
		case !ok:
			return "" // that one says so
		}
		seen = append(seen, next.id)
		if slices.Contains(seen[:len(seen)-1], next.id) {
			return "alternateJobId leads in a circle: " + strings.Join(seen, ", ")
		}
		at = next
	}
	return ""
}

// without disables a job.
func (c *catalog) without(j *job, why string) *job {
	disabled := *j
	disabled.disabled = why
	c.jobs[strings.ToLower(j.id)] = &disabled
	return &disabled
}

// compiler is for one file; copies are for more of them.
func (s *Service) compiler() compiler {
	return compiler{platform: s.cfg.Platform, kinds: s.cfg.Kinds, names: namesOf(s.cfg.Kinds), now: s.cfg.Clock.Now()}
}

func (s *Service) add(c, before *catalog, e settings.Entry, compiler compiler) {
	key := strings.ToLower(e.ID)
	if _, twice := c.digests[key]; twice {
		s.cfg.Log.Error("job file is ignored: another file is for the same job", "file", e.ID+".json")
		return
	}
	err := e.Err
	var j *job
	if err != nil {
		c.digests[key] = sha256.Sum256([]byte(err.Error()))
	} else {
		c.digests[key] = e.Doc.Digest()
		j, err = compiler.compile(e.ID, e.Doc)
	}
	// Attack: on the bus a principal is its name alone; a job called
	// KeeperPolicy would share that plugin's reply topics.
	if err == nil && s.cfg.Taken(j.id) {
		err = e.Doc.Fault("id", fault.Quote(j.id), "a name that no plugin has")
	}
	old := before.jobs[key]
	log := s.cfg.Log
	if said, known := before.digests[key]; known && said == c.digests[key] {
		log = slog.New(slog.DiscardHandler) // of this file it was said already
	}
	switch {
	case err == nil:
	case old != nil && old.id == e.ID:
		log.Error("job file has become broken; the job stays as it was", "job", e.ID, "error", err)
		kept := *old
		kept.note = "the file has become broken and the job is as it was before: " + err.Error()
		c.jobs[key] = &kept
		return
	default:
		log.Error("job file is broken; the job does not run", "job", e.ID, "error", err)
		c.broken[key] = view.Job{ID: e.ID, Name: e.ID, Detail: err.Error()}
		return
	}
	switch doubts := j.doubts(); {
	case j.disabled != "":
		log.Info("job does not run", "job", j.id, "reason", j.disabled)
	case len(doubts) > 0: // whoever wrote it does not know
		log.Warn("job cannot do what its file says", "job", j.id, "reason", strings.Join(doubts, "; "))
	}
	c.jobs[key] = j
}

// Unhandled says why the job with this id would not be started for an event;
// empty if it would. broken is true if its file cannot be used.
func (s *Service) Unhandled(event, id string) (why string, broken bool) {
	c := s.held()
	key := strings.ToLower(id)
	j, known := c.jobs[key]
	switch file, isBroken := c.broken[key]; {
	case isBroken:
		return fmt.Sprintf("job %s: %s", id, file.Detail), true
	case !known:
		return fmt.Sprintf("job %s is not installed: there is no Jobs/%s.json", id, id), false
	case j.disabled != "":
		return fmt.Sprintf("job %s does not run: %s", id, j.disabled), false
	case !slices.Contains(j.events, event):
		return fmt.Sprintf("job %s does not name the event %s", id, event), false
	}
	return "", false
}

func (j *job) detail() string {
	if j.disabled != "" {
		return j.disabled
	}
	return strings.Join(j.doubts(), "; ")
}

// doubts says what of the job is not as its file says, and what it lacks.
func (j *job) doubts() (list []string) {
	if j.note != "" {
		list = append(list, j.note)
	}
	return append(list, j.missing()...)
}

// missing says what the job's tasks need and is not installed, one per task. Tasks that
// a setting may skip are left out.
func (j *job) missing() (list []string) {
	for i, t := range j.tasks {
		if needs, ok := t.task.(task.Installed); ok && t.skipPlugin == "" {
			if err := needs.Missing(); err != nil {
				list = append(list, fmt.Sprintf("tasks[%d].command: %v", i, err))
			}
		}
	}
	return list
}

func (j *job) ownEvents() bool { return slices.ContainsFunc(j.events, ownEvent) }

// List returns every job, broken ones too, by id.
func (s *Service) List() []view.Job {
	c := s.held()
	list := slices.Collect(maps.Values(c.broken))
	for key, j := range c.jobs {
		list = append(list, s.view(key, j))
	}
	slices.SortFunc(list, func(a, b view.Job) int { return strings.Compare(a.ID, b.ID) })
	return list
}

func (s *Service) view(key string, j *job) view.Job {
	shown := view.Job{
		ID: j.id, Name: j.name, Description: j.description, Enabled: j.disabled == "", Priority: j.priority, Events: j.events,
		Detail: j.detail(), AllowPluginTrigger: j.pluginTrigger, OwnEventsOnly: j.ownEvents(),
	}
	if next, ok := s.timer.Next(key); ok {
		shown.NextRunAt = next.UTC().Truncate(time.Second)
	}
	return shown
}

// Get returns one job with what its file says. The error wraps ErrUnknown.
func (s *Service) Get(id string) (view.JobDetail, error) {
	c, key := s.held(), strings.ToLower(id)
	if j, ok := c.jobs[key]; ok {
		return view.JobDetail{Job: s.view(key, j), Definition: json.RawMessage(j.definition)}, nil
	}
	if broken, ok := c.broken[key]; ok {
		return view.JobDetail{Job: broken}, nil
	}
	return view.JobDetail{}, fmt.Errorf("job %s: %w", id, ErrUnknown)
}

// Topics returns what a job declares in mqttTopics.
func (s *Service) Topics(jobID string) (publish, subscribe []string) {
	j, ok := s.held().jobs[strings.ToLower(jobID)]
	if !ok || j.disabled != "" {
		return nil, nil
	}
	return slices.Clone(j.publish), slices.Clone(j.subscribe)
}
