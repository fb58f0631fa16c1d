package admincli

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"kpm/core"
	"kpm/core/view"
	"kpm/launcher/fileaccess"
)

// fileGrantAnswers has a grant of each kind.
type fileGrantAnswers struct{ *answers }

func (fileGrantAnswers) List(kind fileaccess.Kind, _ core.UserID) []view.FileGrant {
	return []view.FileGrant{{ID: "AAA", User: "ann", UserID: "1000", FilePath: "/srv/" + string(kind) + " \u202e", Policies: []core.PolicyRef{}, GivenBy: "Admin-0", SecondsLeft: 90}}
}

func (fileGrantAnswers) Give(core.Principal, core.RequestID, time.Duration) (g view.FileGrant, err error) {
	return g, core.NewError(core.NotFound, "no such request")
}

func (fileGrantAnswers) GiveApproved(core.Principal, string, time.Duration) (g view.FileGrant, err error) {
	return g, core.NewError(core.NotFound, "no such approval")
}

func (g fileGrantAnswers) GiveTo(_ core.Principal, user, path string, length time.Duration) (view.FileGrant, error) {
	if user == "zoe" {
		return view.FileGrant{}, fileaccess.ErrDenied
	}
	g.ran = append(g.ran, fmt.Sprint("give ", user, " ", path, " ", length))
	return view.FileGrant{ID: "BBB", User: user, UserID: "1000", FilePath: path, Policies: []core.PolicyRef{}, SecondsLeft: 1800}, nil
}

func (g fileGrantAnswers) Revoke(kind fileaccess.Kind, id string, _ core.UserID, _ core.Principal) error {
	if id != "AAA" {
		return core.NewError(core.NotFound, "no such grant")
	}
	g.ran = append(g.ran, "revoke "+string(kind)+" "+id)
	return nil
}

func (fileGrantAnswers) CleanUp(fileaccess.Kind) (c view.FileGrantsCleaned) { return c }

func (fileGrantAnswers) Access() view.FileAccess {
	return view.FileAccess{
		Files:    []view.FileKept{{FilePath: "/srv/list", Denied: []core.UserID{"1000", "1001"}, Granted: []core.UserID{"1002"}, Policies: []core.PolicyRef{}}},
		Problems: []view.FileProblem{{FilePath: "/home/u/x", Policy: core.PolicyRef{ID: "p"}, Why: "users can exchange it"}},
	}
}

func TestFileGrants(t *testing.T) {
	r := newRunning(t)
	for _, tc := range []struct {
		line, out, ran string
		code           int
	}{
		{"filegrants list", "ID   USER  LEFT   GIVEN BY  FILE\nAAA  ann   1m30s  Admin-0   /srv/file \ufffd\n", "", 0},
		{"filegrants list --execution", "ID   USER  LEFT   GIVEN BY  FILE\nAAA  ann   1m30s  Admin-0   /srv/execution \ufffd\n", "", 0},
		{"filegrants give ann /srv/list --for 30m", "BBB: ann has access to /srv/list for 30m\n", "give ann /srv/list 30m0s", 0},
		{"filegrants give ann /srv/list", "BBB: ann has access to /srv/list for 30m\n", "give ann /srv/list 0s", 0},
		{"filegrants give ann /srv/list --for 30", "", "", 2},
		{"filegrants give zoe /srv/list", "", "", 2},
		{"filegrants revoke AAA", "AAA has ended\n", "revoke file AAA", 0},
		{"filegrants revoke AAA --execution", "AAA has ended\n", "revoke execution AAA", 0},
		{"filegrants revoke BBB", "", "", 2},
		{"filegrants files", "DENIED TO    GRANTED TO  FILE       FAULT\n#1000 #1001  #1002       /srv/list\npolicy p is not kept: /home/u/x users can exchange it\n", "", 0},
	} {
		r.ran = nil
		code, out, diag := r.do(t, strings.Fields(tc.line)...)
		if code != tc.code || code == 0 && out != tc.out || code != 0 && diag == "" || strings.Join(r.ran, ",") != tc.ran {
			t.Errorf("%s: %d %q %q, ran %q", tc.line, code, out, diag, r.ran)
		}
	}
	if code, out, _ := r.do(t, "filegrants", "list", "--json"); code != 0 || !strings.Contains(out, `"secondsLeft":90`) {
		t.Errorf("%d %s", code, out)
	}
}
