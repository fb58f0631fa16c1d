package jobs

import (
	"os"
	"path/filepath"
	"sync"
	"testing"
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
