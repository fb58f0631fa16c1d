package service

import (
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestDefaultsFillWhatIsMissing(t *testing.T) {
	root := t.TempDir()
	mine := filepath.Join(root, "Plugins", "KeeperPolicy.json")
	if err := os.MkdirAll(filepath.Dir(mine), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(mine, []byte("mine"), 0o644); err != nil {
		t.Fatal(err)
	}
	written, err := WriteDefaults(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"Plugins/KeeperLogger.json", "Jobs/LaunchPrivilegeElevation.json", "Jobs/privilege-elevation-policy-controls.json"} {
		if !slices.Contains(written, filepath.Join(root, name)) {
			t.Errorf("%s is not among the written %v", name, written)
		}
	}
	if data, err := os.ReadFile(mine); err != nil || string(data) != "mine" {
		t.Errorf("a file that was there became %q, %v", data, err)
	}
	again, err := WriteDefaults(root)
	if err != nil || len(again) != 0 {
		t.Errorf("the second time: wrote %v, %v; want nothing", again, err)
	}
}

func TestDefaultsFollowNoLink(t *testing.T) {
	root := t.TempDir()
	if err := os.Mkdir(filepath.Join(root, "Plugins"), 0o755); err != nil {
		t.Fatal(err)
	}
	target := filepath.Join(root, "target")
	if err := os.Symlink(target, filepath.Join(root, "Plugins", "KeeperPolicy.json")); err != nil {
		t.Fatal(err)
	}
	if _, err := WriteDefaults(root); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(target); err == nil {
		t.Error("a file was made behind a dangling link")
	}
}

func TestLogLinesCannotBeForged(t *testing.T) {
	var out strings.Builder
	newLog(&out, slog.LevelInfo, slog.DiscardHandler).Info("asked", "command", "a\nlevel=ERROR msg=forged \x1b[2J", "error", os.ErrNotExist)
	if strings.Count(out.String(), "\n") != 1 || strings.Contains(out.String(), "\x1b") {
		t.Errorf("logged %q", out.String())
	}
}
