package approvalcode

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"
)

var (
	key       = Key{1, 2, 3}
	challenge = NewChallenge([]byte("K7QP-3M2X"), []byte("seal"))
	noon      = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
)

// Written from docs/approvals.md and not from the code: the first eight bytes of
// HMAC-SHA-256 over the label, the challenge's ten bytes and the number of quarters of
// an hour since 1970, as a decimal number's last ten digits.
func TestTheAlgorithmIsTheDocumentedOne(t *testing.T) {
	mac := hmac.New(sha256.New, key[:])
	fmt.Fprintf(mac, "kpm approval code 1\n%s%s", challenge[:], binary.BigEndian.AppendUint64(nil, uint64(noon.Unix()/900)))
	all := new(big.Int).SetBytes(mac.Sum(nil)[:8]).String()
	all = strings.Repeat("0", 20) + all
	all = all[len(all)-10:]
	if got, want := key.Code(challenge, noon), all[:5]+"-"+all[5:]; got != want {
		t.Errorf("%s, expected %s", got, want)
	}
}

func TestWhenACodeCounts(t *testing.T) {
	code := key.Code(challenge, noon.Add(7*time.Minute))
	for after, want := range map[time.Duration]bool{
		0: true, 29 * time.Minute: true, -14 * time.Minute: true, // somebody's clock is late
		30 * time.Minute: false, -16 * time.Minute: false, 365 * 24 * time.Hour: false,
	} {
		if right, err := key.Right(challenge, code, noon.Add(after)); err != nil || right != want {
			t.Errorf("after %s: %v, %v", after, right, err)
		}
	}
	if until := Until(noon.Add(7 * time.Minute)); !until.Equal(noon.Add(30 * time.Minute)) {
		t.Errorf("it counts until %s", until)
	}
}

// A code is for one request and one machine.
func TestWhatACodeIsFor(t *testing.T) {
	code := key.Code(challenge, noon)
	for name, tc := range map[string]struct {
		key       Key
		challenge Challenge
		code      string
		want      bool
	}{
		"it":                   {key, challenge, code, true},
		"with blanks":          {key, challenge, " " + strings.ReplaceAll(code, "-", " ") + "\n", true},
		"another machine":      {NewKey(), challenge, code, false},
		"another request":      {key, NewChallenge([]byte("K7QP-3M2X"), []byte("other seal")), code, false},
		"moved between fields": {key, NewChallenge([]byte("K7QP-3M2Xs"), []byte("eal")), code, false},
		"the next digit":       {key, challenge, code[:10] + string('0'+(code[10]-'0'+1)%10), false},
	} {
		if right, err := tc.key.Right(tc.challenge, tc.code, noon); err != nil || right != tc.want {
			t.Errorf("%s: %v, %v", name, right, err)
		}
	}
	for _, text := range []string{"", "1", code + "0", "12345-6789x", "１２３４５67890", strings.Repeat("-", 300)} {
		if right, err := key.Right(challenge, text, noon); right || !errors.Is(err, ErrCode) {
			t.Errorf("%q: %v, %v", text, right, err)
		}
	}
}

func TestReadAndWritten(t *testing.T) {
	k := NewKey()
	for _, text := range []string{k.String(), strings.ToLower(k.String()), strings.ReplaceAll(k.String(), "-", " ") + "\n"} {
		if got, err := ParseKey(text); err != nil || got != k {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	if got, err := ParseChallenge(challenge.String()); err != nil || got != challenge || len(challenge.String()) != 19 {
		t.Errorf("%s: %v, %v", challenge, got, err)
	}
	for _, text := range []string{"", k.String()[1:], k.String() + "A", challenge.String(), strings.Repeat("9", 52)} {
		if _, err := ParseKey(text); !errors.Is(err, ErrKey) {
			t.Errorf("key %q: %v", text, err)
		}
	}
	for _, text := range []string{"", k.String(), challenge.String()[1:], "ABCD-EFGH-2345-WXY0"} {
		if _, err := ParseChallenge(text); !errors.Is(err, ErrChallenge) {
			t.Errorf("challenge %q: %v", text, err)
		}
	}
}

// FuzzCodes: whatever is typed is read in one way or refused, and nothing but the codes
// of three steps is right.
func FuzzCodes(f *testing.F) {
	f.Add(key.Code(challenge, noon))
	f.Add(challenge.String())
	f.Add(key.String())
	f.Add("０１２３４-٥٦٧٨٩")
	f.Fuzz(func(t *testing.T, text string) {
		if c, err := ParseChallenge(text); err == nil {
			if again, err := ParseChallenge(c.String()); err != nil || again != c {
				t.Errorf("%q is %s, and that is %s, %v", text, c, again, err)
			}
		}
		if k, err := ParseKey(text); err == nil {
			if again, err := ParseKey(k.String()); err != nil || again != k {
				t.Errorf("%q is read as another key", text)
			}
		}
		right, err := key.Right(challenge, text, noon)
		if right {
			typed := strings.Join(strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(" -\t\r\n", r) }), "")
			known := false
			for _, at := range []time.Duration{-Step, 0, Step} {
				known = known || strings.ReplaceAll(key.Code(challenge, noon.Add(at)), "-", "") == typed
			}
			if !known || err != nil {
				t.Errorf("%q is right, %v", text, err)
			}
		}
	})
}
