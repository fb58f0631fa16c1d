package mfa

import (
	"net/url"
	"strings"
	"testing"
	"time"
)

// rfcSecret is that of the vectors of both RFCs.
var rfcSecret = []byte("12345678901234567890")

// RFC 4226, appendix D.
func TestVectorsOfRFC4226(t *testing.T) {
	for counter, want := range []string{
		"755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871", "520489",
	} {
		if got := hotp(rfcSecret, uint64(counter), 6); got != want {
			t.Errorf("%d: %s, expected %s", counter, got, want)
		}
	}
}

// RFC 6238, appendix B, the rows of SHA-1.
func TestVectorsOfRFC6238(t *testing.T) {
	for at, want := range map[int64]string{
		59: "94287082", 1111111109: "07081804", 1111111111: "14050471", 1234567890: "89005924", 2000000000: "69279037", 20000000000: "65353130",
	} {
		if got := hotp(rfcSecret, stepAt(time.Unix(at, 0)), 8); got != want {
			t.Errorf("%d: %s, expected %s", at, got, want)
		}
	}
}

func TestSkewIsOneStep(t *testing.T) {
	now := time.Unix(1234567890, 0)
	middle := stepAt(now)
	for off := -3; off <= 3; off++ {
		step := uint64(int(middle) + off)
		got, ok := match(rfcSecret, hotp(rfcSecret, step, digits), now)
		if want := off >= -1 && off <= 1; ok != want || ok && got != step {
			t.Errorf("%+d: step %d, %v, expected %v", off, got, ok, want)
		}
	}
	for _, code := range []string{"", "0", "000000", "0000000"} {
		if _, ok := match(rfcSecret, code, now); ok {
			t.Errorf("%q is right", code)
		}
	}
	if _, ok := match(rfcSecret, hotp(rfcSecret, 0, digits), time.Unix(-5, 0)); !ok {
		t.Error("a clock before 1970 has no first step")
	}
}

func TestKeyURI(t *testing.T) {
	uri := keyURI(`EXAMPLE\anna b`, "host/1", encode(rfcSecret))
	u, err := url.Parse(uri)
	if err != nil || u.Scheme != "otpauth" || u.Host != "totp" || u.Path != `/KeeperPrivilegeManager:EXAMPLE\anna b@host/1` || strings.Contains(u.EscapedPath()[1:], "/") {
		t.Errorf("%s: %v, path %q", uri, err, u.Path)
	}
	q := u.Query()
	if q.Get("secret") != "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ" || q.Get("issuer") != issuer || q.Get("algorithm") != "SHA1" || q.Get("digits") != "6" || q.Get("period") != "30" {
		t.Errorf("%v", q)
	}
}
