package launcher

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"kpm/core"
	"kpm/launcher/journal"
)

func TestWhatAKilledServiceLeftIsEnded(t *testing.T) {
	w := newWorld(t)
	dir := w.path("children")
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
	w.tree.set(alive, true)
	if err := w.Recover(journal.Replay{}); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(w.tree.killed, []core.ProcessID{alive}) {
		t.Errorf("ended %v, want %v alone", w.tree.killed, alive)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("still remembered: %v, %v", left, err)
	}
}

func TestOnlyRunningServicesAreRemembered(t *testing.T) {
	w := newWorld(t)
	p, err := w.StartService(t.Context(), core.ServiceSpec{
		As: core.Principal{Kind: core.Plugin, Name: "KeeperLogger"}, Path: w.path("bin/tool"), Argv: []string{"tool"}, Dir: w.dir,
	})
	if err != nil {
		t.Fatal(err)
	}
	path := (children{w.path("children")}).path(p.ID())
	if group, err := os.ReadFile(path); err != nil || string(group) != w.launch.last().Group() {
		t.Errorf("while it runs: %q, %v", group, err)
	}
	w.launch.last().process.exit(core.ExitStatus{})
	if _, err := p.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("it has ended and is still remembered")
	}
}
