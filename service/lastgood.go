package service

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"kpm/core"
	"kpm/core/view"
	"kpm/core/wire"
	"kpm/launcher/journal"
	"kpm/plugins"
	"kpm/plugins/store"
	"kpm/settings"
)

// goodFiles returns the files of which the last known good is kept, and the
// programs of plugins and jobs. The error is that of jobs that cannot be read.
func (s *service) goodFiles() (files, programs []string, err error) {
	if err := s.jobs.Read(); err != nil {
		return nil, nil, err
	}
	for _, dir := range []string{s.layout.Plugins(), s.layout.Jobs(), s.layout.Policies(), s.layout.SyncedPolicies()} {
		found, err := filepath.Glob(filepath.Join(dir, "*.json"))
		if err == nil { // the pattern is ours
			files = append(files, found...)
		}
	}
	for _, i := range s.plugins.InspectAll() {
		if i.Program != "" {
			programs = append(programs, i.Program)
		}
	}
	for path := range s.jobs.Programs() {
		// What the system's packages bring is theirs to change.
		if strings.HasPrefix(path, s.layout.Root()+string(filepath.Separator)) {
			programs = append(programs, path)
		}
	}
	slices.Sort(programs)
	return files, slices.Compact(programs), nil
}

// startLastGood knows what was accepted. Where unapproved changes are undone, the
// agent's files are compared with it before anything is made of them.
func (s *service) startLastGood(ctx context.Context, _ Options) error {
	if s.kept == nil {
		return nil // startSettings has said why
	}
	var err error
	s.lastGood, err = store.NewLastGood(store.GoodConfig{
		Store: s.kept, Root: s.layout.Root(), Files: s.goodFiles,
		Read: s.host.Files.ReadProtected, Write: s.host.Files.WriteAtomic,
		Restore: s.restores, Aside: s.layout.Aside(), Found: s.unapproved, Log: s.log.With("component", "last known good"),
	})
	if err != nil {
		s.log.Error("Last Known Good is not kept", "error", err)
		s.lastGood = nil
		return nil
	}
	if err := s.approveAtStart(); err != nil {
		s.log.Error("what was to be approved at the start is not", "error", err)
	}
	if s.restores() && s.guard() {
		// What was read is not what was approved.
		if _, err := s.jobs.Reload(); err != nil {
			return err
		}
		s.reloadPlugins(pluginControl{s.plugins, s}.Refresh(ctx))
	}
	return nil
}

// compareGood compares the agent's files with what was accepted where nothing is
// undone: nobody waits for that, and programs are read to their ends.
func (s *service) compareGood(ctx context.Context, _ Options) error {
	if s.lastGood != nil && !s.restores() {
		s.background(ctx, func(context.Context) { s.guard() })
	}
	return nil
}

// approveAtStart accepts the default files that this service has written itself,
// and what whoever installs has left word of while no service ran. That word lies
// where root alone can leave it.
func (s *service) approveAtStart() error {
	written := map[string]bool{}
	for _, path := range s.written {
		written[path] = true
	}
	var err error
	if len(written) > 0 {
		_, err = s.lastGood.Approve(core.ServicePrincipal(), func(name string) bool {
			return written[filepath.Join(s.layout.Root(), filepath.FromSlash(name))]
		})
	}
	text, read := s.host.Files.ReadProtected(s.layout.Approvals(), settings.MaxAppSettings)
	if errors.Is(read, fs.ErrNotExist) {
		return err
	}
	if err = errors.Join(err, read); err != nil {
		return err
	}
	for line := range strings.Lines(string(text)) {
		if err := s.approveWord(strings.TrimSpace(line)); err != nil {
			return fmt.Errorf("%s: %q: %w", s.layout.Approvals(), line, err)
		}
	}
	return os.Remove(s.layout.Approvals())
}

// approveWord approves what one line says: "*", a folder below the root, or a
// plugin.
func (s *service) approveWord(word string) error {
	var err error
	switch {
	case word == "":
	case word == "*":
		_, err = good{s}.Approve(core.ServicePrincipal(), "")
	case strings.HasSuffix(word, "/"):
		_, err = s.lastGood.Approve(core.ServicePrincipal(), func(name string) bool { return strings.HasPrefix(name, word) })
	default:
		_, err = good{s}.Approve(core.ServicePrincipal(), word)
	}
	return err
}

// restores reports whether unapproved changes are undone.
func (s *service) restores() bool { return s.app.LastKnownGood == settings.GoodRestore }

// guard undoes and reports unapproved changes, and reports whether any was undone.
func (s *service) guard() bool {
	if s.lastGood == nil || s.app.LastKnownGood == settings.GoodOff {
		return false
	}
	s.guarding.Lock()
	defer s.guarding.Unlock()
	restored, err := s.lastGood.Guard()
	if err != nil {
		s.log.Error("Last Known Good cannot be compared", "error", err)
	}
	return restored
}

// approving accepts what write makes of a file, whose path it returns, before anybody
// can find that file unapproved. What write fails with is returned.
func (s *service) approving(write func() (path string, err error)) error {
	s.guarding.Lock()
	defer s.guarding.Unlock()
	path, err := write()
	if err != nil || s.lastGood == nil {
		return err
	}
	_, err = s.lastGood.Approve(core.ServicePrincipal(), func(name string) bool {
		return strings.EqualFold(filepath.Join(s.layout.Root(), filepath.FromSlash(name)), path)
	})
	if err != nil {
		s.log.Error("a file was written and is not approved; KeeperAdminCLI plugins approve accepts it", "file", path, "error", err)
	}
	return nil
}

// unapproved reports one change that nobody has approved.
func (s *service) unapproved(c view.Unapproved) {
	s.log.Warn("a file is not what was approved; KeeperAdminCLI plugins approve accepts it", "file", c.Path, "change", c.Change, "outcome", c.Outcome)
	err := s.journal.Append(journal.Record{
		Type: journal.Unapproved, Program: &core.Executable{Path: filepath.Join(s.layout.Root(), filepath.FromSlash(c.Path))},
		Message: wire.PrintableLine(strings.TrimSpace(c.Change + " " + c.Found + " " + c.Outcome)),
	})
	if err != nil {
		s.log.Error("an unapproved change is not recorded", "file", c.Path, "error", err)
	}
}

// good is the last known good for the API.
type good struct{ *service }

// errNotKept means that the store could not be opened.
var errNotKept = core.NewError(core.Unavailable, "Last Known Good is not kept: the service's log says why")

// Unapproved implements api.LastKnownGood.
func (g good) Unapproved() ([]view.Unapproved, error) {
	if g.lastGood == nil {
		return nil, errNotKept
	}
	return g.lastGood.Changes()
}

// Approve implements api.LastKnownGood: the changes of a plugin, its file and its
// program, or with an empty id all there are.
func (g good) Approve(by core.Principal, id string) (view.Approved, error) {
	if g.lastGood == nil {
		return view.Approved{}, errNotKept
	}
	match := func(string) bool { return true }
	if id != "" {
		var err error
		if match, err = g.filesOf(id); err != nil {
			return view.Approved{}, err
		}
	}
	names, err := g.lastGood.Approve(by, match)
	if err == nil && len(names) > 0 {
		g.log.Warn("changes approved", "files", names, "by", by.String())
	}
	return view.Approved{Approved: names}, err
}

// filesOf matches the file and the folder of programs of one plugin, also of one
// that is gone.
func (g good) filesOf(id string) (func(name string) bool, error) {
	if !core.ValidName(id) {
		return nil, plugins.ErrUnknown
	}
	below := func(path string) string {
		name, err := filepath.Rel(g.layout.Root(), path)
		if err != nil {
			return path
		}
		return filepath.ToSlash(name)
	}
	file, programs := below(filepath.Join(g.layout.Plugins(), id+".json")), below(filepath.Join(g.layout.Plugins(), "bin", id))+"/"
	program := ""
	if i, ok := g.plugins.Inspect(id); ok && i.Program != "" {
		program = below(i.Program)
	}
	return func(name string) bool {
		return strings.EqualFold(name, file) || strings.HasPrefix(strings.ToLower(name), strings.ToLower(programs)) || name == program
	}, nil
}

// admitApproved says why a program must not start, if unapproved ones do not. f is
// open for reading and is what will be executed.
func (s *service) admitApproved(f *os.File) error {
	// Where nothing is undone plugins start while startLastGood sets it.
	if !s.restores() || s.lastGood == nil || !strings.HasPrefix(f.Name(), s.layout.Root()+string(filepath.Separator)) {
		return nil
	}
	digest, err := store.Digest(io.NewSectionReader(f, 0, math.MaxInt64))
	if err != nil {
		return errors.Join(store.ErrUnapproved, err)
	}
	return s.lastGood.Admit(f.Name(), digest)
}

// guardJobs is guard, and has jobs read again that were put back.
func (s *service) guardJobs() {
	if !s.guard() {
		return
	}
	if changed, err := s.jobs.Reload(); err != nil || len(changed) > 0 {
		s.log.Warn("reloaded jobs", "changed", names(changed), "error", err)
	}
}
