//go:build linux

package desktop

import (
	"context"
	"encoding/json"
	"os"
	"strconv"
	"strings"
	"testing"

	"kpm/vmtests/agent"
)

const approvedByBob = `{"PolicyId":"p","PolicyName":"Ask bob","PolicyType":"PrivilegeElevation","Status":"enforce","Actions":{"OnSuccess":{"Controls":["APPROVAL"]}},
"UserCheck":["*"],"MachineCheck":["*"],"ApplicationCheck":["*"],"approvers":{"users":["#4243","#4242"]}}`

// approvals are what waits or waited, by its command line's last word.
func approvals(t *testing.T, a *agent.Agent) map[string]string {
	t.Helper()
	out, err := a.Admin(t.Context(), "approvals", "list", "--json")
	if err != nil {
		t.Fatal(err)
	}
	var list []struct{ Status, CommandLine string }
	if err := json.Unmarshal([]byte(out), &list); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	found := map[string]string{}
	for _, one := range list {
		words := strings.Fields(one.CommandLine)
		found[words[len(words)-1]] = one.Status
	}
	return found
}

// TestApproversAreAskedOnTheirDesktops: whoever makes a request says whether approvers
// are asked; the approver decides on a desktop of their own, and the requester's, whom the
// policy names as well, asks nobody.
func TestApproversAreAskedOnTheirDesktops(t *testing.T) {
	anns, bobs := newSeat(t, ann), newSeat(t, bob)
	logsIn(t, map[string]*seat{annsSession: anns, bobsSession: bobs})
	a := newAgent(t, approvedByBob, "")
	for _, tool := range []string{"zenity", "yad"} {
		t.Run(tool, func(t *testing.T) {
			alone(t, tool)
			anns, bobs := &seat{t, anns.display, ann}, &seat{t, bobs.display, bob}
			button := map[string]map[string][]string{ // keys that reach each
				"zenity": {"ask": {"Tab", "Return"}, "approve": {"Tab", "Tab", "Return"}, "deny": {"Tab", "Tab", "Tab", "Return"}},
				"yad":    {"ask": {"Tab", "Return"}, "approve": {"Tab", "Tab", "Tab", "Return"}, "deny": {"Tab", "Tab", "Return"}},
			}[tool]

			// Nobody is asked unless the requester says so.
			for way, close := range map[string]func(window){
				"escape": func(w window) { w.types("", "Escape") },
				"closed": window.closes,
				"killed": func(w window) { kill(t, "KeeperApproval\x00--request="+w.code) },
			} {
				request := asks(t, a, "--reason", "a test", "id", way)
				close(anns.dialog())
				request.ends(1, "you asked for no approval")
			}

			request := asks(t, a, "--reason", "the disk is full", "id", tool+"-approved")
			w := anns.dialog()
			shows(t, tool, w.code, "Ask for the approval of")
			w.types("", button["ask"]...)
			request.ends(75, "waits for approval")
			w = bobs.dialog()
			if !strings.Contains(request.output(), w.code) {
				t.Errorf("bob sees approval %s, the requester %q", w.code, request.output())
			}
			// Attack: other users read the reason in the arguments of what shows it.
			for _, pid := range processes(titled + w.code) {
				if line, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cmdline"); strings.Contains(string(line), "the disk is full") {
					t.Errorf("the reason is in %q", line)
				}
			}
			w.types("", button["approve"]...)
			eventually(t, "it is approved", func() bool { return approvals(t, a)[tool+"-approved"] == "approved" })
			again := asks(t, a, "id", tool+"-approved")
			again.ends(1, "no such user") // id has run, and says so
			if found := anns.windows(); len(found) > 0 {
				t.Errorf("ann is asked as well: %v", found)
			}

			request = asks(t, a, "--reason", "a test", "id", tool+"-denied")
			anns.dialog().types("", button["ask"]...)
			request.ends(75, "waits for approval")
			bobs.dialog().types("", button["deny"]...)
			eventually(t, "it is denied", func() bool { return approvals(t, a)[tool+"-denied"] == "denied" })

			// A dialog that is closed or killed decides nothing, and what comes next is asked.
			for way, close := range map[string]func(window){
				"escape": func(w window) { w.types("", "Escape") },
				"closed": window.closes,
				"killed": func(w window) { kill(t, "KeeperApproval\x00--request="+w.code) },
			} {
				name := tool + "-" + way
				request = asks(t, a, "--reason", "a test", "id", name)
				anns.dialog().types("", button["ask"]...)
				request.ends(75, "waits for approval")
				w := bobs.dialog()
				close(w)
				w.goes()
				if is := approvals(t, a)[name]; is != "pending" {
					t.Errorf("%s: it is %s", way, is)
				}
			}

			// What somebody else decides closes it.
			request = asks(t, a, "--reason", "a test", "id", tool+"-elsewhere")
			anns.dialog().types("", button["ask"]...)
			request.ends(75, "waits for approval")
			w = bobs.dialog()
			if out, err := a.Admin(context.Background(), "approvals", "deny", w.code); err != nil {
				t.Errorf("%v: %s", err, out)
			}
			w.goes()
		})
	}
}
