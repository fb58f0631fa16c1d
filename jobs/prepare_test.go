package jobs

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"kpm/core"
	"kpm/core/view"
)

// Whoever needs a job before the files were read waits for that, and they are read once.
func TestWhoeverNeedsAJobSooner(t *testing.T) {
	h := newHarness(t, map[string]string{"j": `{"id": "j", "events": [{"eventType": "Custom", "customEvent": "E"}], "tasks": [{"id": "t", "command": "mytool"}]}`})
	read := 0
	cfg := h.cfg
	cfg.Read = func(path string, limit int64) ([]byte, error) {
		read++
		return h.cfg.Read(path, limit)
	}
	s := Prepare(cfg)
	if read != 0 {
		t.Error("files are read before anybody needs one")
	}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if why, _ := s.Unhandled("E", "j"); why != "" {
				t.Error(why)
			}
		})
	}
	all.Wait()
	if err := s.Read(); err != nil || read != 1 {
		t.Errorf("%v; the file was read %d times", err, read)
	}
	if err := s.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

// A folder that cannot be read is an error of Read, and means no job to everybody else.
func TestAFolderOfJobsThatIsNone(t *testing.T) {
	h := newHarness(t, nil)
	cfg := h.cfg
	if err := os.RemoveAll(cfg.Layout.Jobs()); err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Clean(cfg.Layout.Jobs()), "a file")
	s := Prepare(cfg)
	if _, err := s.Get("j"); err == nil {
		t.Error("a job that nobody has written")
	}
	if err := s.Read(); err == nil {
		t.Error("no error")
	}
	if err := s.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

// The history is opened once, by whoever needs a job or a run first. One that cannot be
// opened is an error of everything that needs it, and means no job to everybody else.
func TestAHistoryThatIsOpenedWhenItIsNeeded(t *testing.T) {
	h := newHarness(t, map[string]string{"j": `{"id": "j", "events": [{"eventType": "Custom", "customEvent": "E"}], "tasks": [{"id": "t", "command": "mytool"}]}`})
	h.history.runs["r"] = view.JobRun{ID: "r"}
	broken := errors.New("no history")
	for _, fails := range []error{nil, broken} {
		for name, need := range map[string]func(*Service) error{
			"jobs":  func(s *Service) error { return s.Read() },
			"runs":  func(s *Service) error { _, err := s.Runs(view.JobRunFilter{}); return err },
			"a run": func(s *Service) error { _, err := s.RunDetail("r"); return err },
			"the end of a run": func(s *Service) error {
				if err := s.Cancel("r", core.ServicePrincipal()); !errors.Is(err, ErrEnded) {
					return err
				}
				return nil
			},
			"files that have changed": func(s *Service) error { _, err := s.Reload(); return err },
		} {
			opened := 0
			cfg := h.cfg
			cfg.History = func() (History, error) {
				opened++
				return h.history, fails
			}
			s := Prepare(cfg)
			if opened != 0 {
				t.Error("it is opened before anybody needs it")
			}
			for range 2 {
				if err := need(s); !errors.Is(err, fails) {
					t.Errorf("%s: %v, expected %v", name, err, fails)
				}
			}
			if _, err := s.Get("j"); (err == nil) != (fails == nil) {
				t.Errorf("%s: the job: %v", name, err)
			}
			if opened != 1 {
				t.Errorf("%s: it is opened %d times", name, opened)
			}
			if err := s.Close(t.Context()); err != nil {
				t.Error(err)
			}
		}
	}
}

// As long as it is not known which jobs there are, no file of one is written or removed.
func TestNoFileIsChangedWhileJobsAreNotKnown(t *testing.T) {
	const file = `{"id": "j", "events": [{"eventType": "Custom", "customEvent": "E"}], "tasks": [{"id": "t", "command": "mytool"}]}`
	h := newHarness(t, map[string]string{"j": file})
	broken := errors.New("no history")
	cfg := h.cfg
	cfg.History = func() (History, error) { return nil, broken }
	s := Prepare(cfg)
	another := []byte(strings.Replace(file, "mytool", "other", 1))
	if _, err := s.Create(another); !errors.Is(err, broken) {
		t.Errorf("created: %v", err)
	}
	if _, err := s.Update("j", another); !errors.Is(err, broken) {
		t.Errorf("changed: %v", err)
	}
	if err := s.Delete("j"); !errors.Is(err, broken) {
		t.Errorf("deleted: %v", err)
	}
	if there, err := os.ReadFile(filepath.Join(cfg.Layout.Jobs(), "j.json")); err != nil || string(there) != file {
		t.Errorf("the file: %s, %v", there, err)
	}
	if err := s.Close(t.Context()); err != nil {
		t.Error(err)
	}
}
