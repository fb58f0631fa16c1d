//go:build linux

package pam_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"kpm/core/port"
	"kpm/platform/unix/pam"
	"kpm/platform/unix/pam/askpam"
)

// published are the numbers as each header has them. Linux-PAM: libpam/include/
// security/_pam_types.h. OpenPAM: github.com/apple-oss-distributions/OpenPAM,
// openpam/include/security/pam_constants.h (OpenPAM-34).
var published = map[string]struct{ linux, openPAM int32 }{
	"PAM_SYSTEM_ERR": {4, 4}, "PAM_BUF_ERR": {5, 5}, "PAM_PERM_DENIED": {6, 7}, "PAM_AUTH_ERR": {7, 9}, "PAM_CRED_INSUFFICIENT": {8, 11},
	"PAM_AUTHINFO_UNAVAIL": {9, 12}, "PAM_USER_UNKNOWN": {10, 13}, "PAM_MAXTRIES": {11, 8}, "PAM_NEW_AUTHTOK_REQD": {12, 10}, "PAM_ACCT_EXPIRED": {13, 17},
	"PAM_SESSION_ERR": {14, 19}, "PAM_CRED_UNAVAIL": {15, 14}, "PAM_CRED_EXPIRED": {16, 15}, "PAM_CRED_ERR": {17, 16}, "PAM_CONV_ERR": {19, 6},
	"PAM_AUTHTOK_ERR": {20, 20}, "PAM_TRY_AGAIN": {24, 27}, "PAM_IGNORE": {25, 25}, "PAM_ABORT": {26, 26}, "PAM_AUTHTOK_EXPIRED": {27, 18},
	"PAM_APPLE_ACCT_TEMP_LOCK": {-1, 1024}, "PAM_APPLE_ACCT_LOCKED": {-1, 1025},
	"PAM_ESTABLISH_CRED": {2, 1}, "PAM_DELETE_CRED": {4, 2},
}

// Both tables are the headers', and mean the same by each name.
func TestNumbers(t *testing.T) {
	wrong := []string{"PAM_PERM_DENIED", "PAM_AUTH_ERR", "PAM_CRED_INSUFFICIENT", "PAM_USER_UNKNOWN", "PAM_MAXTRIES", "PAM_APPLE_ACCT_TEMP_LOCK"}
	refused := []string{"PAM_NEW_AUTHTOK_REQD", "PAM_ACCT_EXPIRED", "PAM_CRED_EXPIRED", "PAM_AUTHTOK_EXPIRED", "PAM_APPLE_ACCT_LOCKED"}
	for name, table := range map[string]struct {
		pam.Numbers
		number func(string) int32
	}{
		"Linux-PAM": {pam.Linux, func(n string) int32 { return published[n].linux }},
		"OpenPAM":   {pam.OpenPAM, func(n string) int32 { return published[n].openPAM }},
	} {
		for n, got := range map[string]int32{"PAM_SYSTEM_ERR": table.SystemErr, "PAM_BUF_ERR": table.BufErr, "PAM_CONV_ERR": table.ConvErr,
			"PAM_ESTABLISH_CRED": table.EstablishCred, "PAM_DELETE_CRED": table.DeleteCred} {
			if got != table.number(n) {
				t.Errorf("%s: %s is %d, expected %d", name, n, got, table.number(n))
			}
		}
		for n := range published {
			code := table.number(n)
			if code < 0 || strings.HasSuffix(n, "_CRED") { // what is asked, not answered
				continue
			}
			if table.Wrong(code) != slices.Contains(wrong, n) || table.MayNot(code) != slices.Contains(refused, n) {
				t.Errorf("%s: %s, %d, is wrong %t, refused %t", name, n, code, table.Wrong(code), table.MayNot(code))
			}
		}
	}
}

// What PAM answers is an error of the port's, read by the numbers of this system.
func TestOutcomes(t *testing.T) {
	wrong, refused := pam.Here.NotAuthentic[1], pam.Here.Refused[1]
	for _, tc := range []struct {
		function string
		code     int32
		want     error
	}{
		{"", 0, nil},
		{"pam_authenticate", wrong, port.ErrNotAuthentic},
		{"pam_authenticate", refused, port.ErrAccountRefused},
		{pam.Account, wrong, port.ErrAccountRefused}, // of pam_deny, which has one answer
		{pam.Account, refused, port.ErrAccountRefused},
	} {
		if err := askpam.Outcome(pam.Message{Function: tc.function, Code: tc.code}); !errors.Is(err, tc.want) {
			t.Errorf("%s, %d: %v, expected %v", tc.function, tc.code, err, tc.want)
		}
	}
	for _, code := range []int32{pam.Here.SystemErr, pam.Here.BufErr, pam.Here.ConvErr, -1, 99} {
		if err := askpam.Outcome(pam.Message{Code: code}); err == nil || errors.Is(err, port.ErrNotAuthentic) || errors.Is(err, port.ErrAccountRefused) {
			t.Errorf("%d: %v, which says nothing about the person", code, err)
		}
	}
}

// Attack: a file by which OpenPAM lets in who types anything, or asks nobody.
func TestOpenPAMFiles(t *testing.T) {
	shipped, err := os.ReadFile("../../../packaging/darwin/archive/pam")
	if err != nil {
		t.Fatal(err)
	}
	const account = "account required pam_opendirectory.so\n"
	for text, ok := range map[string]bool{
		string(shipped): true,
		"auth required pam_opendirectory.so\n" + account:                                            true,
		"auth sufficient pam_tid.so\nAuth\tRequisite  pam_opendirectory.so # last\n" + account:      true,
		"auth sufficient pam_opendirectory.so\n" + account:                                          false,
		"auth optional pam_opendirectory.so\n" + account:                                            false,
		"auth include sudo_local\n" + account:                                                       false,
		"auth required\n" + account:                                                                 false,
		"# auth required pam_opendirectory.so\n" + account:                                          false,
		"auth sufficient pam_x.so \\\nauth required pam_opendirectory.so\n" + account:               false,
		"auth required pam_opendirectory.so\naccount sufficient pam_opendirectory.so\n":             false,
		"session required pam_opendirectory.so\npassword required pam_opendirectory.so\n" + account: false,
		"auth sufficient pam_rootok.so\nauth required pam_opendirectory.so\n" + account:             false,
		account: false,
		"":      false,
	} {
		if err := pam.CheckOpenPAM([]byte(text)); (err == nil) != ok {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// Attack: a copy of su's file, by which root is not asked: keeperpam is root.
func TestFilesThatAskNobody(t *testing.T) {
	for text, asksNobody := range map[string]bool{
		"auth       sufficient pam_rootok.so\n@include common-auth\n":     true,
		"-AUTH [success=ok default=die] \\\n /lib/security/pam_rootok.so": true,
		"auth required pam_unix.so\naccount sufficient pam_rootok.so\n":   false, // one that is asked first
		"# auth sufficient pam_rootok.so\nauth required pam_unix.so\n":    false,
		"": false,
	} {
		if err := pam.Check([]byte(text)); errors.Is(err, pam.ErrAsksNobody) != asksNobody {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// The first file that is there counts, and nobody is asked by one that is worth
// nothing.
func TestFiles(t *testing.T) {
	dir := t.TempDir()
	first, second := filepath.Join(dir, "first"), filepath.Join(dir, "second")
	missing := func() error { return askpam.New(nil, []string{first, second}, pam.CheckOpenPAM).Missing() }
	if err := missing(); !errors.Is(err, errors.ErrUnsupported) || !strings.Contains(err.Error(), pam.Files[0]) {
		t.Errorf("%v, expected errors.ErrUnsupported with the file's name", err)
	}
	must(t, os.WriteFile(second, []byte("auth required a\naccount required a\n"), 0o644))
	if err := missing(); err != nil {
		t.Error(err)
	}
	must(t, os.WriteFile(first, []byte("auth sufficient a\naccount required a\n"), 0o644))
	if err := missing(); !errors.Is(err, errors.ErrUnsupported) || !strings.Contains(err.Error(), first) {
		t.Errorf("%v, expected errors.ErrUnsupported with the file's name", err)
	}
	must(t, errors.Join(os.Remove(first), os.Mkdir(first, 0o755)))
	if err := missing(); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("%v, expected errors.ErrUnsupported of what cannot be read", err)
	}
}
