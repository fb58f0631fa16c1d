//go:build linux

package installed

import (
	"strings"
	"testing"
)

// TestWhoMayWhat: the policies of this machine, by user and by group.
func TestWhoMayWhat(t *testing.T) {
	for _, tc := range []struct {
		user   string
		argv   []string
		allows bool
		says   string
	}{
		{"alice", []string{"id", "-u"}, true, "0\n"},
		{"bob", []string{"id", "-u"}, false, "/usr/bin/id"},
		{"bob", []string{"whoami"}, true, "root\n"},
		{"alice", []string{"whoami"}, false, "Whoami is for ops"},
		{"alice", []string{"-u", "bob", "id"}, true, "uid=1001(bob) gid=1001(bob) groups=1001(bob),1002(ops)\n"},
		{"bob", []string{"-u", "alice", "id"}, false, "/usr/bin/id"},
		{"bob", []string{"-u", "alice", "whoami"}, true, "alice\n"},
		{"alice", []string{"-u", "bob", "sh", "-c", "echo $HOME $USER $SUDO_USER $SUDO_UID"}, true, "/home/bob bob alice 1000\n"},
		{"alice", []string{"sh", "-c", "cd && pwd"}, true, "/root\n"},
		{"bob", []string{"sh", "-c", "whoami"}, false, "dash"},
	} {
		got := says(t, tc.user, append([]string{"keepersudo"}, tc.argv...)...)
		if tc.allows && got != (outcome{tc.says, "", 0}) {
			t.Errorf("%s: keepersudo %v: %+v, expected %q", tc.user, tc.argv, got, tc.says)
		}
		if !tc.allows && (got.Status != 1 || got.Stdout != "" || !strings.Contains(got.Stderr, tc.says)) {
			t.Errorf("%s: keepersudo %v: %+v, expected to be denied with %q", tc.user, tc.argv, got, tc.says)
		}
	}
	verified(t)
}

// TestGroupsChange: who is in a group is looked up when they ask.
func TestGroupsChange(t *testing.T) {
	allowed := func() bool { return says(t, "bob", "keepersudo", "whoami").Status == 0 }
	change := func(argv ...string) {
		t.Helper()
		if _, err := box.Run(t.Context(), argv...); err != nil {
			t.Fatal(err)
		}
	}
	change("gpasswd", "-d", "bob", "ops")
	if allowed() {
		t.Error("bob is not in ops any more, and is allowed what ops may")
	}
	change("gpasswd", "-a", "bob", "ops")
	if !allowed() {
		t.Error("bob is in ops again, and is denied what ops may")
	}
}

// TestAdministrator: root needs no policy, unless it is root by an elevation.
func TestAdministrator(t *testing.T) {
	if out, err := box.Run(t.Context(), root+"/keepersudo", "whoami"); err != nil || out != "root\n" {
		t.Errorf("root: %s, %v", out, err)
	}
	if got := says(t, "alice", "keepersudo", "keepersudo", "id"); got.Status != 1 || got.Stdout != "" {
		t.Errorf("alice as root: %+v", got)
	}
}
