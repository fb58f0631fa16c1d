package admincli

import (
	"context"
	"strings"
	"testing"
	"time"

	"kpm/core"
	"kpm/core/view"
)

// rightAnswers has taken something from ada, given something to bob, and spared eve.
type rightAnswers struct{ *answers }

func (rightAnswers) List(core.UserID) view.Rights {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.Local)
	until := at.Add(time.Hour)
	return view.Rights{
		Taken:  []view.Place{{User: "ada", UserID: "1000", Group: "sudo", At: at, Policies: []core.PolicyRef{{ID: "p1"}, {ID: "p2"}}}},
		Given:  []view.Place{{User: "bob", UserID: "1001", Group: "sudo", At: at, Policies: []core.PolicyRef{{ID: "tools"}}, Grant: "G", Until: &until}},
		Spared: []view.Place{{User: "eve", UserID: "1002", Group: "sudo", At: at, By: "Admin uid 0"}},
	}
}

func (r rightAnswers) Check(context.Context) error {
	r.ran = append(r.ran, "check")
	return nil
}

func (r rightAnswers) Return(_ context.Context, who string, _ core.Principal) error {
	if who != "ada" {
		return core.NewError(core.NotFound, "nothing was taken from that user")
	}
	r.ran = append(r.ran, "return "+who)
	return nil
}

func (r rightAnswers) Resume(who string) error {
	r.ran = append(r.ran, "resume "+who)
	return nil
}

func TestRights(t *testing.T) {
	r := newRunning(t)
	code, out, diag := r.do(t, "rights", "list")
	want := "USER  GROUP  WHAT                             SINCE                BY\n" +
		"ada   sudo   taken                            2026-01-02 03:04:05  p1, p2\n" +
		"bob   sudo   given until 2026-01-02 04:04:05  2026-01-02 03:04:05  tools\n" +
		"eve   sudo   given back                       2026-01-02 03:04:05  Admin uid 0\n"
	if code != 0 || out != want {
		t.Errorf("%d %q %q", code, out, diag)
	}
	if code, out, _ = r.do(t, "rights", "list", "--json"); code != 0 || !strings.Contains(out, `"grant":"G"`) {
		t.Errorf("%d %s", code, out)
	}
	for _, args := range [][]string{{"return", "ada"}, {"resume", "#1000"}, {"check"}} {
		if code, out, diag = r.do(t, append([]string{"rights"}, args...)...); code != 0 || out != "done\n" {
			t.Errorf("%q: %d %q %q", args, code, out, diag)
		}
	}
	if got := strings.Join(r.ran, ", "); got != "return ada, resume #1000, check" {
		t.Errorf("asked for: %s", got)
	}
	if code, _, diag = r.do(t, "rights", "return", "bob"); code != 2 || !strings.Contains(diag, "nothing was taken") {
		t.Errorf("%d %q", code, diag)
	}
}

// accountAnswers makes no account.
type accountAnswers struct{}

func (accountAnswers) Prepare(context.Context, core.Principal, core.RequestID) (string, error) {
	return "", core.NewError(core.Unsupported, "no accounts")
}

func (accountAnswers) Clean(context.Context) (int, error) { return 0, nil }
