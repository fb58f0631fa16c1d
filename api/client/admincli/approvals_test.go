package admincli

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"kpm/core"
	"kpm/core/view"
)

// approvalList is one approval of ada's, with a command line that would move a cursor.
type approvalList struct{ *answers }

func (l approvalList) one(id string) (view.Approval, error) {
	if id != "ABCD-2345" {
		return view.Approval{}, core.NewError(core.NotFound, "there is no such approval")
	}
	return view.Approval{
		ID: id, ApprovalUID: id, ApprovalType: 1, Status: core.ApprovalPending, UserName: "ada", UserID: "1000", TargetUser: "root",
		FilePath: "/usr/bin/rm", RequestedPath: "rm", Arguments: []string{"rm", "a b", "\x1b[2Jx"}, Directory: "/srv", Justification: "because\x1b[2J",
		ExpireIn: 1437, Approvers: []core.ApprovalRule{{Policy: core.PolicyRef{ID: "p"}, Users: []string{"eve"}, EscalatedGroups: []string{"leads"}, Number: 1}},
		Decisions: []view.ApprovalDecision{{Approver: "eve", ApproverID: "1001", Decision: "extend", Comment: "later"}},
	}, nil
}

func (l approvalList) List(core.Principal, core.Peer) ([]view.Approval, error) {
	one, err := l.one("ABCD-2345")
	return []view.Approval{one}, err
}

func (l approvalList) Get(_ core.Principal, _ core.Peer, id string) (view.Approval, error) {
	return l.one(id)
}

func (l approvalList) decide(verb, id string, a view.ApprovalAnswer) (view.Approval, error) {
	one, err := l.one(id)
	l.ran = append(l.ran, fmt.Sprintf("%s %s %q %d", verb, id, a.Comment, a.ExpireIn))
	return one, err
}

func (l approvalList) Approve(_ core.Principal, _ core.Peer, id string, a view.ApprovalAnswer) (view.Approval, error) {
	return l.decide("approve", id, a)
}

func (l approvalList) Deny(_ core.Principal, _ core.Peer, id string, a view.ApprovalAnswer) (view.Approval, error) {
	return l.decide("deny", id, a)
}

func (l approvalList) Extend(_ core.Principal, _ core.Peer, id string, a view.ApprovalAnswer) (view.Approval, error) {
	return l.decide("extend", id, a)
}

func (l approvalList) Withdraw(_ core.Principal, _ core.Peer, id string) (view.Approval, error) {
	return l.one(id)
}

func (l approvalList) Code(_ context.Context, _ core.Principal, _ core.Peer, id, _ string) (view.Approval, error) {
	return l.one(id)
}

func TestApprovals(t *testing.T) {
	r := newRunning(t)
	a, root := r.answers, r.root
	list := tell(t, exitOK, "approvals", "list", "--root", root)
	if !strings.HasPrefix(list, "ID         STATE ") ||
		!strings.Contains(list, "ABCD-2345  pending  23 hours and 57 minutes  ada   root  /usr/bin/rm 'a b'") || strings.Contains(list, "\x1b") {
		t.Error(list)
	}
	var shown []view.Approval
	if err := json.Unmarshal([]byte(tell(t, exitOK, "approvals", "list", "--json", "--root", root)), &shown); err != nil || len(shown) != 1 || shown[0].ID != "ABCD-2345" {
		t.Errorf("%v, %+v", err, shown)
	}
	details := tell(t, exitOK, "approvals", "show", "ABCD-2345", "--root", root)
	for _, line := range []string{"requested by  ada (1000)", "in            /srv", "approvers     1 of eve, administrators; later also group leads (policy p)", "extend by eve at", ": later"} {
		if !strings.Contains(details, line) || strings.Contains(details, "\x1b") {
			t.Errorf("%q is not in\n%s", line, details)
		}
	}
	for line, want := range map[string]string{
		"approve ABCD-2345":                     `approve ABCD-2345 "" 0`,
		"approve ABCD-2345 --for 90m -m ticket": `approve ABCD-2345 "ticket" 90`,
		"deny ABCD-2345 --comment no --json":    `deny ABCD-2345 "no" 0`,
		"extend ABCD-2345 --for 2h":             `extend ABCD-2345 "" 120`,
		"extend ABCD-2345 --for 1d":             `extend ABCD-2345 "" 1440`,
		"extend ABCD-2345":                      `extend ABCD-2345 "" 43200`, // as long as the settings allow
	} {
		a.ran = nil
		tell(t, exitOK, append(strings.Fields("approvals "+line), "--root", root)...)
		if len(a.ran) != 1 || a.ran[0] != want {
			t.Errorf("%s: %q", line, a.ran)
		}
	}
	for line, says := range map[string]string{
		"extend ABCD-2345 --for -1h":   "--for -1h is no span of time",
		"extend ABCD-2345 --for 0":     "--for 0 is a number without a unit",
		"approve ABCD-2345 --for 0m":   "--for 0m is no time at all",
		"deny ABCD-2345 --for 1h":      "unknown flag: --for",
		"approve":                      "which approval?",
		"approve A B":                  "which approval?",
		"approve XXXX-XXXX":            "there is no such approval",
		"show ../plugins":              "there is no such approval",
		"approve ABCD-2345 --for 9999": "a number without a unit",
	} {
		if code, _, diag := do(t, append(strings.Fields("approvals "+line), "--root", root)...); code != exitUsage || !strings.Contains(diag, says) {
			t.Errorf("%s: %d %q", line, code, diag)
		}
	}
}
