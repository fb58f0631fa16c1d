package start

import (
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"kpm/core"
	"kpm/platform/fake"
)

func TestWhatAKilledServiceLeftIsEnded(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "children")
	tree := fake.NewTree(self)
	kept := children{dir}
	alive, gone := core.ProcessID{PID: 700, Start: 7}, core.ProcessID{PID: 800, Start: 8}
	for _, id := range []core.ProcessID{alive, gone} {
		if err := kept.add(id, "session:1"); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range map[string]string{"garbage": "x", "1-1": "session:1", "-1-5": "session:1", "900-9x": "session:1", "901-9": "", "902-9": "a\x00b"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	tree.Set(alive, true)
	New(Config{Tree: tree, Dir: dir, Log: slog.New(slog.DiscardHandler)}).Recover()
	if !slices.Equal(tree.Killed, []core.ProcessID{alive}) {
		t.Errorf("ended %v, want %v alone", tree.Killed, alive)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("still remembered: %v, %v", left, err)
	}
}
