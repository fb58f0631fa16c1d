package service

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"strings"

	"kpm/core"
	"kpm/core/wire"
	"kpm/jobs"
	"kpm/settings"
)

// maxOwnFile bounds what is compared with what a policy says, in bytes.
const maxOwnFile = 1 << 20

// startFileChanges makes of the agent's own files what SettingsUpdate and JobUpdate
// policies say, from now on: when they change, and when the service has started. What
// somebody makes of a file afterwards stands until then.
func (s *service) startFileChanges(ctx context.Context) {
	s.changes = &said[core.FileChanges]{
		what: "what is made of the agent's own files", question: wire.FileChanges(), changed: make(chan struct{}, 1),
		pick: func(a wire.PolicyResponse) (*core.FileChanges, string) { return a.FileChanges, a.FileChangesDigest },
		take: func(all core.FileChanges) { s.changeFiles(ctx, all) },
	}
	s.background(ctx, func(ctx context.Context) { s.changes.follow(ctx, (&bus{s}).List, s.log) })
}

// changeFiles does all of it. A file that cannot be written costs no other one
// anything.
func (s *service) changeFiles(ctx context.Context, all core.FileChanges) {
	if all.More > 0 {
		s.log.Error("policies make more of the agent's files than one answer holds", "left out", all.More)
	}
	last := map[string]core.FileChange{}
	for _, c := range all.Changes {
		last[c.File] = c
	}
	for _, c := range all.Changes {
		if last[c.File].ID != c.ID {
			s.log.Warn("a later policy is about the same file", "file", c.File, "policy", c.ID, "counts", last[c.File].ID)
			continue
		}
		switch changed, err := s.changeFile(ctx, c); {
		case err != nil:
			s.log.Error("a file is not what a policy says; correct the policy's Extension", "file", c.File, "policy", c.ID, "error", err)
		case changed:
			s.log.Warn("a file was changed by a policy", "file", c.File, "policy", c.ID)
		}
	}
}

// changeFile makes one file what a policy says, and reports whether it was anything
// else.
func (s *service) changeFile(ctx context.Context, c core.FileChange) (changed bool, err error) {
	whole := filepath.Join(s.layout.Root(), filepath.FromSlash(c.File))
	before, err := s.host.Files.ReadProtected(whole, maxOwnFile)
	there := err == nil
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	if !there && c.Text == "" {
		return false, nil
	}
	// The files of jobs are written with a line end.
	if there && strings.TrimSpace(string(before)) == strings.TrimSpace(c.Text) {
		return false, nil
	}
	folder, name := path.Split(c.File)
	id := strings.TrimSuffix(name, ".json")
	if folder != "" && c.Text != "" {
		if err := named(c.Text, id); err != nil {
			return false, err
		}
	}
	switch written := c.Text != ""; {
	case folder == "Jobs/" && core.ValidName(id):
		return true, s.changeJob(id, c.Text)
	case folder == "Plugins/" && core.ValidName(id) && written:
		err := s.approving(func() (string, error) {
			return filepath.Join(s.layout.Plugins(), name), s.host.Files.WriteAtomic(filepath.Join(s.layout.Plugins(), name), []byte(c.Text), 0o644)
		})
		if err != nil {
			return false, err
		}
		s.reloadPlugins(pluginControl{s.plugins, s}.Refresh(ctx))
		return true, nil
	case c.File == "appsettings.json" && written:
		return true, s.changeSettings([]byte(c.Text))
	}
	// Whoever reads policies refuses it before; this process is the one that writes.
	return false, errors.New("it is none of the files that a policy may write")
}

// named says what is wrong if the file of a job or plugin has another id than its name.
func named(text, id string) error {
	var file struct {
		ID string `json:"id"`
	}
	if err := json.Unmarshal([]byte(text), &file); err != nil {
		return fmt.Errorf("id: %w", err)
	}
	if file.ID != id {
		return fmt.Errorf("id: found %q, expected %q, the name of the file", file.ID, id)
	}
	return nil
}

// changeJob writes a job's file, or removes it if there is no text.
func (s *service) changeJob(id, text string) error {
	list := approvedJobs{s.jobs, s}
	if text == "" {
		return list.Delete(id)
	}
	_, err := list.Update(id, []byte(text))
	if errors.Is(err, jobs.ErrUnknown) {
		_, err = list.Create([]byte(text))
	}
	return err
}

// changeSettings replaces appsettings.json, if the service can start with that, and
// puts in force what can be at once.
func (s *service) changeSettings(text []byte) error {
	doc, err := settings.ParseDocument(s.layout.AppSettings(), text)
	if err != nil {
		return err
	}
	if _, err := settings.ParseApp(doc); err != nil {
		return err
	}
	if err := s.writeSettings(text); err != nil {
		return err
	}
	_, _, err = s.reloadSettings()
	return err
}

// writeSettings replaces appsettings.json while nobody changes it through the API, who
// would write back what was there before.
func (s *service) writeSettings(text []byte) error {
	s.settings.Lock()
	defer s.settings.Unlock()
	return s.host.Files.WriteAtomic(s.layout.AppSettings(), text, 0o644)
}
