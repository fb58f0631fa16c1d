package admincli

import (
	"bytes"
	"context"
	"encoding/json"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rsc.io/qr"

	"kpm/core"
	"kpm/core/view"
)

// factorAnswers are the answers about second factors.
type factorAnswers struct{ *answers }

func (r factorAnswers) List() ([]view.Factor, error) {
	return []view.Factor{
		{User: "anna", UserID: "1000", Kind: "totp", At: time.Unix(0, 0), By: "Admin-0", RecoveryCodes: 10},
		{User: "b\x1ben", UserID: "1001", Kind: "totp", At: time.Unix(0, 0), By: "Admin-0", RecoveryCodes: 3, LockedSeconds: 90},
	}, nil
}

func (r factorAnswers) Enroll(_ context.Context, _ core.Principal, user string, replace bool) (view.Enrollment, error) {
	if user == "anna" && !replace {
		return view.Enrollment{}, core.NewError(core.Conflict, "enrolled already")
	}
	return view.Enrollment{
		User: user, UserID: "1001", URI: "otpauth://totp/KeeperPrivilegeManager:" + user + "?secret=GEZDGNBV", Secret: "GEZDGNBV",
		RecoveryCodes: []string{"aaaa-bbbb", "cccc-dddd"},
	}, nil
}

func (r factorAnswers) Remove(_ core.Principal, user string) error {
	if user != "anna" {
		return core.NewError(core.NotFound, "nobody is enrolled")
	}
	r.ran = append(r.ran, "remove "+user)
	return nil
}

func (r factorAnswers) Ticket(_ core.Principal, user string, replace bool) (view.Ticket, error) {
	if user == "anna" && !replace {
		return view.Ticket{}, core.NewError(core.Conflict, "enrolled already")
	}
	return view.Ticket{User: user, UserID: "1001", Ticket: "aaaa-bbbb-cccc-dddd", Until: time.Unix(0, 0).UTC()}, nil
}

func (r factorAnswers) Redeem(context.Context, core.Principal, string) (view.Enrollment, error) {
	return view.Enrollment{}, nil
}

func (r factorAnswers) Login(context.Context, core.Principal, view.LoginAnswer) (view.Login, error) {
	return view.Login{}, nil
}

func TestTickets(t *testing.T) {
	r := newRunning(t)
	if code, out, diag := r.do(t, "mfa", "ticket", "ben"); code != exitOK || !strings.Contains(out, "aaaa-bbbb-cccc-dddd") || !strings.Contains(out, "keeperAgent --enroll") {
		t.Errorf("%d %s%s", code, out, diag)
	}
	if code, out, _ := r.do(t, "mfa", "ticket", "ben", "--json"); code != exitOK || !strings.Contains(out, `"ticket":"aaaa-bbbb-cccc-dddd"`) {
		t.Errorf("%d %s", code, out)
	}
	if code, _, diag := r.do(t, "mfa", "ticket", "anna"); code != exitUsage || !strings.Contains(diag, "use --replace") {
		t.Errorf("%d %s", code, diag)
	}
}

func TestEnrolling(t *testing.T) {
	r := newRunning(t)
	code, out, diag := r.do(t, "mfa", "enroll", "ben")
	if code != exitOK || !strings.Contains(out, "  secret  GEZDGNBV\n") || !strings.Contains(out, "otpauth://totp/") || !strings.Contains(out, "  cccc-dddd\n") {
		t.Errorf("%d %s%s", code, out, diag)
	}
	code, out, _ = r.do(t, "mfa", "enroll", "ben", "--json")
	var got view.Enrollment
	if err := json.Unmarshal([]byte(out), &got); code != exitOK || err != nil || got.Secret != "GEZDGNBV" || len(got.RecoveryCodes) != 2 {
		t.Errorf("%d %v %s", code, err, out)
	}
	if code, _, diag := r.do(t, "mfa", "enroll", "anna"); code != exitUsage || !strings.Contains(diag, "use --replace") {
		t.Errorf("%d %s", code, diag)
	}
	if code, _, diag := r.do(t, "mfa", "enroll", "anna", "--replace"); code != exitOK {
		t.Errorf("%d %s", code, diag)
	}
}

// The picture is made before anybody is enrolled, is new, and is gone if nobody was.
func TestThePictureOfAnEnrolment(t *testing.T) {
	r := newRunning(t)
	path := filepath.Join(t.TempDir(), "code.png")
	if code, _, _ := r.do(t, "mfa", "enroll", "anna", "--png", path); code != exitUsage {
		t.Error(code)
	}
	if _, err := os.Lstat(path); !os.IsNotExist(err) {
		t.Errorf("it stays: %v", err)
	}
	if code, _, diag := r.do(t, "mfa", "enroll", "ben", "--png", path); code != exitOK {
		t.Fatalf("%d %s", code, diag)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	picture, err := png.Decode(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info.Mode(), err)
	}
	code, err := qr.Encode("otpauth://totp/KeeperPrivilegeManager:ben?secret=GEZDGNBV", qr.M)
	if err != nil {
		t.Fatal(err)
	}
	if !shows(picture, code) {
		t.Error("it is another code")
	}
	// Attack: whoever makes the file, or a link, first.
	if code, _, diag := r.do(t, "mfa", "enroll", "ben", "--png", path); code != exitUsage || !strings.Contains(diag, "--png") {
		t.Errorf("%d %s", code, diag)
	}
}

// shows compares a picture of the size that rsc.io/qr makes with a code.
func shows(picture image.Image, code *qr.Code) bool {
	const margin, scale = 4, 8
	for x := range code.Size {
		for y := range code.Size {
			c := color.GrayModel.Convert(picture.At((x+margin)*scale, (y+margin)*scale)).(color.Gray)
			if (c.Y < 128) != code.Black(x, y) {
				return false
			}
		}
	}
	return true
}

func TestWhoIsEnrolled(t *testing.T) {
	r := newRunning(t)
	code, out, diag := r.do(t, "mfa", "list")
	if code != exitOK || !strings.Contains(out, "LOCKED OUT FOR") || !strings.Contains(out, "1m30s") || strings.Contains(out, "\x1b") || !strings.Contains(out, "anna") {
		t.Errorf("%d %s%s", code, out, diag)
	}
	if code, out, _ := r.do(t, "mfa", "remove", "anna"); code != exitOK || out != "{\"user\":\"anna\"}\n" || len(r.ran) != 1 {
		t.Errorf("%d %s %v", code, out, r.ran)
	}
	if code, _, diag := r.do(t, "mfa", "remove", "ben"); code != exitUsage || !strings.Contains(diag, "unknown-user") {
		t.Errorf("%d %s", code, diag)
	}
}
