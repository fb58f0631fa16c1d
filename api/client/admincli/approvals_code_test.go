package admincli

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kpm/core"
	"kpm/core/approvalcode"
	"kpm/core/dialog"
	"kpm/core/view"
)

// approvalKeyAnswers are the answers about the key for codes: there is one.
type approvalKeyAnswers struct{ *answers }

var testKey = approvalcode.Key{7}

func (approvalKeyAnswers) Get() (view.ApprovalKey, error) {
	return view.ApprovalKey{Machine: "web1", By: "Admin-0", At: time.Unix(0, 0)}, nil
}

func (approvalKeyAnswers) New(_ context.Context, by core.Principal, replace bool) (view.ApprovalKey, error) {
	if !replace {
		return view.ApprovalKey{}, core.NewError(core.Conflict, "there is one")
	}
	return view.ApprovalKey{Machine: "web1", By: by.String(), Key: testKey.String()}, nil
}

func (r approvalKeyAnswers) Remove(core.Principal) error {
	r.ran = append(r.ran, "remove key")
	return nil
}

// From the key that a machine shows to the code that a help desk reads aloud, without
// the machine.
func TestApprovalCodes(t *testing.T) {
	r := newRunning(t)
	if code, _, diag := r.do(t, "approvals", "key", "new"); code != exitUsage || !strings.Contains(diag, "use --replace") {
		t.Errorf("%d %s", code, diag)
	}
	challenge := approvalcode.NewChallenge([]byte("x"))
	for name, flags := range map[string][]string{"as text": {"--replace"}, "as JSON": {"--replace", "--json"}} {
		code, shown, diag := r.do(t, append([]string{"approvals", "key", "new"}, flags...)...)
		if code != exitOK {
			t.Fatalf("%s: %d %s", name, code, diag)
		}
		file := filepath.Join(t.TempDir(), "web1.key")
		if err := os.WriteFile(file, []byte(shown), 0o600); err != nil {
			t.Fatal(err)
		}
		code, out, diag := r.do(t, "approvals", "code", strings.ToLower(challenge.String()), "--key", file, "--json")
		var made madeCode
		if err := json.Unmarshal([]byte(out), &made); code != exitOK || err != nil {
			t.Fatalf("%s: %d %v %s%s", name, code, err, out, diag)
		}
		if right, err := testKey.Right(challenge, made.Code, time.Now()); !right || err != nil || made.Until.Before(time.Now()) {
			t.Errorf("%s: %+v, %v", name, made, err)
		}
		if code, out, diag := r.do(t, "approvals", "code", challenge.String(), "--key", file); code != exitOK || !strings.Contains(out, "counts until") {
			t.Errorf("%s: %d %s%s", name, code, out, diag)
		}
	}
	if code, out, _ := r.do(t, "approvals", "key", "show"); code != exitOK || !strings.Contains(out, "web1") {
		t.Errorf("%d %s", code, out)
	}
	if code, out, diag := r.do(t, "approvals", "key", "remove"); code != exitOK {
		t.Errorf("%d %s%s", code, out, diag)
	}
	none := filepath.Join(t.TempDir(), "none.key")
	if err := os.WriteFile(none, []byte("nothing"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, args := range map[string][]string{
		"no key":              {"approvals", "code", challenge.String()},
		"a file that is none": {"approvals", "code", challenge.String(), "--key", none},
		"no file":             {"approvals", "code", challenge.String(), "--key", none + ".not"},
		"no challenge":        {"approvals", "code", "ABCD", "--key", none},
	} {
		if code, out, diag := r.do(t, args...); code == exitOK || out != "" || diag == "" {
			t.Errorf("%s: %d %s%s", name, code, out, diag)
		}
	}
}

// noNotices says nothing.
type noNotices struct{}

func (noNotices) Listen(core.UserID) (<-chan view.Notice, func(), error) { return nil, func() {}, nil }

// noPrompts asks nothing.
type noPrompts struct{}

func (noPrompts) Listen(core.Principal, core.Peer) (<-chan view.Prompt, func(), error) {
	return nil, func() {}, nil
}
func (noPrompts) Answer(core.Principal, core.Peer, string, dialog.Answer) error { return nil }
