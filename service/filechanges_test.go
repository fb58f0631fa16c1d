package service

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"strings"
	"testing"

	"kpm/core"
	"kpm/core/port"
	"kpm/settings"
)

// Attack: whatever answers for KeeperPolicy names a file of its own choice. Whoever
// writes refuses it, and does not rely on whoever has read the policy.
func TestFilesThatNoPolicyMayWrite(t *testing.T) {
	s := &service{layout: settings.At(t.TempDir(), ""), host: port.Host{Files: unwritten{t: t}}}
	for _, file := range []string{
		"", "other.json", "Appsettings.json", "Policies/all.json", "Jobs/../Policies/all.json", "Jobs/.json", "Plugins/bin/a.json",
		"Plugins/../appsettings.json", "/etc/passwd.json", "State/rights.json",
	} {
		id := strings.TrimSuffix(file[strings.LastIndex(file, "/")+1:], ".json")
		for _, text := range []string{`{"id": "` + id + `"}`, ""} {
			if changed, err := s.changeFile(context.Background(), core.FileChange{File: file, Text: text}); changed || text != "" && err == nil {
				t.Errorf("%q with %q: changed %v, %v", file, text, changed, err)
			}
		}
	}
}

// unwritten is files none of which is there, and none may be written.
type unwritten struct {
	port.Files
	t *testing.T
}

func (unwritten) ReadProtected(string, int64) ([]byte, error) { return nil, fs.ErrNotExist }

func (u unwritten) WriteAtomic(path string, _ []byte, _ os.FileMode) error {
	u.t.Errorf("%s is written", path)
	return errors.New("not written")
}

// Settings that somebody changes through the API at the same moment are not lost.
func TestSettingsAreWrittenByOneAtATime(t *testing.T) {
	s := &service{layout: settings.At(t.TempDir(), "")}
	s.host.Files = locked{s: s, t: t}
	if err := s.changeSettings([]byte("{}")); err == nil || err.Error() != "written" {
		t.Error(err)
	}
}

// locked is files that nobody writes unless the settings are theirs.
type locked struct {
	port.Files
	s *service
	t *testing.T
}

func (l locked) WriteAtomic(string, []byte, os.FileMode) error {
	if l.s.settings.TryLock() {
		l.t.Error("somebody else may change them as well")
		l.s.settings.Unlock()
	}
	return errors.New("written")
}
