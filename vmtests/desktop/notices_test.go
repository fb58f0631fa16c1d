//go:build linux

package desktop

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestKeeperClient: whoever waits for approvers is told on their desktop what becomes of
// it, and sees what is open of theirs.
func TestKeeperClient(t *testing.T) {
	anns := newSeat(t, ann)
	a := newAgent(t, approvedByBob, "") // nobody is known to have a desktop: no dialog asks
	client := as(ann, filepath.Join(a.Root, "KeeperClient"), "--root", a.Root)
	client.Env = append(client.Env, "DISPLAY="+anns.display)
	runs(t, client)
	list := func() string {
		out, err := as(ann, filepath.Join(a.Root, "KeeperClient"), "--list", "--root", a.Root).CombinedOutput()
		if err != nil {
			t.Errorf("%v: %s", err, out)
		}
		return string(out)
	}
	if out := list(); out != "Nothing of yours is open.\n" {
		t.Errorf("%q", out)
	}
	eventually(t, "it listens", func() bool {
		open, _ := filepath.Glob("/proc/" + strconv.Itoa(client.Process.Pid) + "/fd/*")
		return slices.ContainsFunc(open, func(name string) bool {
			to, err := os.Readlink(name)
			return err == nil && strings.HasPrefix(to, "socket:")
		})
	})
	asks(t, a, "--reason", "a test", "id", "x").ends(75, "waits for approval")
	out := list()
	_, after, found := strings.Cut(out, "approval ")
	if !found || !strings.Contains(out, "/usr/bin/id x") {
		t.Fatalf("%q", out)
	}
	id := strings.Fields(after)[0]
	if out, err := a.Admin(t.Context(), "approvals", "deny", id); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	w := anns.dialog()
	if w.code != id {
		t.Errorf("a notice of %s, expected %s", w.code, id)
	}
	shows(t, "zenity", w.code, "is refused by root")
}
