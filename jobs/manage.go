package jobs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"kpm/core"
	"kpm/core/fault"
	"kpm/core/view"
	"kpm/jobs/defaults"
	"kpm/settings"
)

// ErrExists is returned for a job that there is already.
var ErrExists = core.NewError(core.Conflict, "there is such a job already")

// reservedIDs are words of the API's paths, where a job's id could stand.
func reservedIDs() []string { return []string{"runs", "reload", "validate"} }

// Validate checks a job as its file would be, for the file {id}.json, without
// registering it. fileID is empty for the id that it says itself. The error is a
// *fault.Fault or a fault.List, whose File is body.
func (s *Service) Validate(fileID string, body []byte) (valid view.JobValidated, err error) {
	j, err := s.validate(fileID, body)
	if err != nil {
		return view.JobValidated{}, err
	}
	return view.JobValidated{ID: j.id, Valid: true, Warnings: j.doubts()}, nil
}

func (s *Service) validate(fileID string, body []byte) (*job, error) {
	doc, err := settings.ParseDocument("body", body)
	if err != nil {
		return nil, err
	}
	var named struct {
		ID string `json:"id"`
	}
	if err := doc.Decode(&named); err != nil {
		return nil, err
	}
	if fileID == "" {
		fileID = named.ID
	}
	compiler := s.compiler()
	j, err := compiler.compile(fileID, doc)
	if err != nil {
		return nil, err
	}
	// Attack: what is for another system is not looked at, and a job called
	// ../appsettings would be written where its id leads.
	compiler.identity(named.ID, fileID)
	if err := compiler.faults.Err(); err != nil {
		return nil, err
	}
	if s.cfg.Taken(j.id) {
		return nil, doc.Fault("id", fault.Quote(j.id), "a name that no plugin has")
	}
	if j.alternate != "" {
		if _, ok := s.held().jobs[strings.ToLower(j.alternate)]; !ok {
			return nil, doc.Fault("alternateJobId", fault.Quote(j.alternate), "a job that there is, and whose file is not broken")
		}
	}
	return j, nil
}

// Create writes a new job's file and registers it. Errors are those of Validate, or
// wrap ErrExists, or are faults of the service.
func (s *Service) Create(body []byte) (view.JobDetail, error) {
	s.changing.Lock()
	defer s.changing.Unlock()
	if err := s.first(); err != nil { // what is there is not known
		return view.JobDetail{}, err
	}
	j, err := s.validate("", body)
	if err != nil {
		return view.JobDetail{}, err
	}
	if _, known := s.held().digests[strings.ToLower(j.id)]; known {
		return view.JobDetail{}, fmt.Errorf("job %s: %w", j.id, ErrExists)
	}
	return s.write(j.id, body)
}

// Update replaces a job's file. Runs under way end on the definition that they began
// with. Errors are those of Validate, or wrap ErrUnknown, or are faults of the service.
func (s *Service) Update(id string, body []byte) (view.JobDetail, error) {
	s.changing.Lock()
	defer s.changing.Unlock()
	name, err := s.fileOf(id)
	if err != nil {
		return view.JobDetail{}, err
	}
	if _, err := s.validate(name, body); err != nil {
		return view.JobDetail{}, err
	}
	return s.write(name, body)
}

// ErrDefault is returned for a job that comes with the service: its file would be
// written again at the next start.
var ErrDefault = core.NewError(core.Conflict, `the job comes with the service: to switch it off, update it with "enabled": false`)

// Delete removes a job's file. Runs under way go on. Errors wrap ErrUnknown or
// ErrDefault, or are faults of the service.
func (s *Service) Delete(id string) error {
	s.changing.Lock()
	defer s.changing.Unlock()
	name, err := s.fileOf(id)
	if err != nil {
		return err
	}
	if _, err := fs.Stat(defaults.Files, name+".json"); err == nil {
		return fmt.Errorf("job %s: %w", name, ErrDefault)
	}
	if err := os.Remove(s.path(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return core.WithKind(core.Internal, fmt.Errorf("jobs: %w", err))
	}
	_, err = s.reload()
	return err
}

// fileOf is the name of a job's file, without .json. The error wraps ErrUnknown.
func (s *Service) fileOf(id string) (string, error) {
	if err := s.first(); err != nil {
		return "", err
	}
	c, key := s.held(), strings.ToLower(id)
	if j, ok := c.jobs[key]; ok {
		return j.id, nil
	}
	if broken, ok := c.broken[key]; ok {
		return broken.ID, nil
	}
	return "", fmt.Errorf("job %s: %w", id, ErrUnknown)
}

func (s *Service) path(id string) string { return filepath.Join(s.cfg.Layout.Jobs(), id+".json") }

// write replaces the file of a valid job and puts it in force.
func (s *Service) write(id string, body []byte) (view.JobDetail, error) {
	if len(body) == 0 || body[len(body)-1] != '\n' {
		body = append(slices.Clone(body), '\n')
	}
	if err := s.cfg.Files.WriteAtomic(s.path(id), body, 0o644); err != nil {
		return view.JobDetail{}, core.WithKind(core.Internal, fmt.Errorf("jobs: %w", err))
	}
	if _, err := s.reload(); err != nil {
		return view.JobDetail{}, err
	}
	return s.Get(id)
}
