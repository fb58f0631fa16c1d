//go:build linux

package desktop

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"kpm/vmtests/apart"
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
	listens(t, client)
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

// TestAPersonIsToldOfTheirRights: whom policy takes out of the group of administrators
// hears so on their desktop, and when they are in it again; nobody else does.
func TestAPersonIsToldOfTheirRights(t *testing.T) {
	const group = "kpmdesktop"
	for _, argv := range [][]string{{"groupadd", "--force", "--system", group}, {"gpasswd", "--members", apart.Name(ann), group}} {
		if out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%q: %v %s", argv, err, out)
		}
	}
	least := func(status string) string {
		return `{"PolicyId":"least","PolicyName":"No administrators","PolicyType":"LeastPrivilege","Status":"` + status + `","Actions":{"OnSuccess":{"Controls":[]}},
"UserCheck":["` + apart.Name(ann) + `"],"MachineCheck":["*"],"ApplicationCheck":[]}`
	}
	anns, bobs := newSeat(t, ann), newSeat(t, bob)
	a := newAgent(t, least("off"), `{"Settings":{"KestrelHttpPort":0,"KestrelHttpsPort":0},"MqttBrokerSettings":{"Port":0},
"Rights":{"Groups":["`+group+`"],"Protected":["`+apart.Name(bob)+`"],"TakeLast":true,"CheckSeconds":5}}`)
	for _, s := range []*seat{anns, bobs} {
		client := as(s.uid, filepath.Join(a.Root, "KeeperClient"), "--root", a.Root)
		client.Env = append(client.Env, "DISPLAY="+s.display)
		runs(t, client)
		listens(t, client)
	}
	become := func(status string) {
		t.Helper()
		if err := a.Write("Policies/p.json", least(status)); err != nil {
			t.Fatal(err)
		}
	}
	become("enforce")
	taken := anns.dialog()
	shows(t, "zenity", taken.code, "You are not an administrator of this machine any more (group "+group+")")
	become("off")
	given := anns.dialog(taken)
	if given.code != group || taken.code != group {
		t.Errorf("notices of %s and %s, expected of %s", taken.code, given.code, group)
	}
	eventually(t, "it says that it was given back", func() bool {
		line, _ := os.ReadFile("/proc/" + given.pid + "/cmdline")
		return strings.Contains(string(line), "You are an administrator of this machine again (group "+group+")")
	})
	if others := bobs.windows(); len(others) != 0 {
		t.Errorf("bob is shown %d windows", len(others))
	}
	eventually(t, "the job has told the log twice", func() bool {
		out, err := a.Admin(t.Context(), "jobs", "runs")
		return err == nil && strings.Count(out, "least-privilege-notice") == 2
	})
}

// listens waits until a program of a person's is connected.
func listens(t *testing.T, client *exec.Cmd) {
	t.Helper()
	eventually(t, "it listens", func() bool {
		open, _ := filepath.Glob("/proc/" + strconv.Itoa(client.Process.Pid) + "/fd/*")
		return slices.ContainsFunc(open, func(name string) bool {
			to, err := os.Readlink(name)
			return err == nil && strings.HasPrefix(to, "socket:")
		})
	})
}
