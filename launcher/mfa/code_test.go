package mfa

import (
	"strings"
	"testing"
)

func TestWhatIsACode(t *testing.T) {
	for answer, want := range map[string]typed{
		"123456": {code: "123456"}, " 123 456\n": {code: "123456"}, "123-456": {code: "123456"}, "000000": {code: "000000"},
		"abcd-efgh-ijkl-mnop": {recovery: "ABCDEFGHIJKLMNOP"}, "ABCDEFGHIJKLMNOP": {recovery: "ABCDEFGHIJKLMNOP"},
		"2345672345672345": {recovery: "2345672345672345"},
		"":                 {}, "12345": {}, "1234567": {}, "12345a": {}, "１２３４５６": {}, "123456\x00": {}, "+12345": {}, "abcd": {},
		strings.Repeat(" ", 65) + "123456": {},
	} {
		if got := parse(answer); got != want {
			t.Errorf("%q: %+v, expected %+v", answer, got, want)
		}
	}
}

func TestRecoveryCodes(t *testing.T) {
	shown, kept := newRecovery("1000")
	if len(shown) != 10 || len(kept) != 10 {
		t.Fatalf("%d shown, %d kept", len(shown), len(kept))
	}
	for _, code := range shown {
		rest, was := without(kept, "1000", parse(code).recovery)
		if !was || len(rest) != 9 {
			t.Errorf("%s: %v, %d left", code, was, len(rest))
		}
		if _, was := without(kept, "1001", parse(code).recovery); was {
			t.Errorf("%s is somebody else's too", code)
		}
	}
	if _, was := without(kept, "1000", ""); was {
		t.Error("nothing is a recovery code")
	}
}

// Whatever is typed is a code of six digits, a recovery code of sixteen
// characters, or neither.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{"123456", "abcd-efgh-ijkl-mnop", " 1 2 3-4 5 6 ", "\x00", "１"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, answer string) {
		got := parse(answer)
		if got.code != "" && got.recovery != "" || len(got.code) != 0 && len(got.code) != digits || len(got.recovery) != 0 && len(got.recovery) != recoveryChars {
			t.Errorf("%q: %+v", answer, got)
		}
		for _, c := range got.code + got.recovery {
			if (c < '0' || c > '9') && (c < 'A' || c > 'Z') {
				t.Errorf("%q: %+v", answer, got)
			}
		}
	})
}
