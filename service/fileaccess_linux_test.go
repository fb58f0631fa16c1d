package service

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"kpm/core"
	"kpm/launcher/fileaccess"
	"kpm/platform"
	"kpm/settings"
)

// The agent is removed in the middle of a grant: nobody is left with more or less access
// to a file than they had without it (W10 of what people ask for).
func TestFilesAreGivenBackWhenTheAgentIsRemoved(t *testing.T) {
	root := t.TempDir()
	denied, granted := filepath.Join(root, "denied"), filepath.Join(root, "granted")
	for _, err := range []error{
		os.Chmod(filepath.Dir(root), 0o755), os.Chmod(root, 0o755), os.Mkdir(filepath.Join(root, "State"), 0o700),
		os.WriteFile(denied, nil, 0o640), os.WriteFile(granted, nil, 0o600),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	host, log := platform.Tools(root), slog.New(slog.DiscardHandler)
	if err := GiveBack(t.Context(), host, root, log); err != nil {
		t.Errorf("nothing to give back: %v", err)
	}
	k := newKeeper(host, settings.At(root, ""), func(fileaccess.Event) error { return nil }, log)
	k.SetRules(core.FileRules{Rules: []core.FileRule{{PolicyRef: core.PolicyRef{ID: "p"}, Users: []string{"nobody"}, Files: []string{denied, granted}}}})
	k.Look()
	if _, err := k.Give(fileaccess.Want{User: core.Account{User: "65534", Name: "nobody"}, Path: granted, Length: time.Hour}); err != nil {
		t.Fatal(err)
	}
	hasList := func(path string) bool {
		_, err := unix.Getxattr(path, "system.posix_acl_access", nil)
		return err != unix.ENODATA
	}
	if !hasList(denied) || !hasList(granted) {
		t.Fatal("nothing was changed")
	}
	// While a service runs it would be done again.
	lock, err := host.Files.Lock(settings.At(root, "").Lock())
	if err != nil {
		t.Fatal(err)
	}
	if err := GiveBack(t.Context(), host, root, log); !errors.Is(err, ErrRuns) {
		t.Errorf("while a service runs: %v", err)
	}
	if err := lock.Close(); err != nil {
		t.Fatal(err)
	}
	if err := GiveBack(t.Context(), host, root, log); err != nil {
		t.Fatal(err)
	}
	for path, mode := range map[string]os.FileMode{denied: 0o640, granted: 0o600} {
		if st, err := os.Stat(path); err != nil || st.Mode() != mode || hasList(path) {
			t.Errorf("%s: %v %v, a list: %v", path, st.Mode(), err, hasList(path))
		}
	}
}
