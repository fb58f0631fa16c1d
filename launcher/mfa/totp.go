package mfa

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1"
	"crypto/subtle"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"net/url"
	"time"
)

// What every authenticator program understands (RFC 6238, and the defaults of
// the Key URI Format of Google Authenticator).
const (
	digits     = 6
	stepTime   = 30 * time.Second
	secretSize = 20 // bytes: those of HMAC-SHA-1 (RFC 4226, section 4, R6)
	// skew is how many steps a person's clock may be off, either way.
	skew = 1
)

// hotp is the code of a counter (RFC 4226, section 5.3).
func hotp(secret []byte, counter uint64, digits int) string {
	mac := hmac.New(sha1.New, secret)
	mac.Write(binary.BigEndian.AppendUint64(nil, counter))
	sum := mac.Sum(nil)
	offset := sum[len(sum)-1] & 0xf
	number := binary.BigEndian.Uint32(sum[offset:]) & 0x7fffffff
	modulus := uint32(1)
	for range digits {
		modulus *= 10
	}
	return fmt.Sprintf("%0*d", digits, number%modulus)
}

// stepAt is the counter of a time (RFC 6238, section 4.2); 0 before 1970.
func stepAt(t time.Time) uint64 { return uint64(max(0, t.Unix())) / uint64(stepTime/time.Second) }

// match returns the step whose code was typed, of those around now; false if it
// is none of theirs. It takes as long whichever it is.
func match(secret []byte, code string, now time.Time) (step uint64, ok bool) {
	middle := stepAt(now)
	found := 0
	for s := middle - min(skew, middle); s <= middle+skew; s++ {
		is := subtle.ConstantTimeCompare([]byte(hotp(secret, s, digits)), []byte(code))
		step = uint64(subtle.ConstantTimeSelect(is, int(s), int(step)))
		found |= is
	}
	return step, found == 1
}

// newSecret returns a secret that nobody can guess.
func newSecret() []byte {
	secret := make([]byte, secretSize)
	rand.Read(secret) // never fails (crypto/rand)
	return secret
}

// encode is a secret as people type it.
func encode(secret []byte) string {
	return base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(secret)
}

// issuer is who a code is for, as authenticator programs show it.
const issuer = "KeeperPrivilegeManager"

// keyURI is what a QR code carries (Key URI Format of Google Authenticator).
func keyURI(user, machine, secret string) string {
	label := user
	if machine != "" {
		label += "@" + machine
	}
	query := url.Values{"secret": {secret}, "issuer": {issuer}, "algorithm": {"SHA1"}, "digits": {"6"}, "period": {"30"}}
	return "otpauth://totp/" + url.PathEscape(issuer+":"+label) + "?" + query.Encode()
}
