package mfa

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"strings"

	"kpm/core"
)

// Recovery codes. Each is 16 characters of base32, which is 80 random bits: too
// many to find one from its digest.
const (
	recoveryCodes = 10
	recoverySize  = 10 // bytes
	recoveryGroup = 4  // characters between hyphens
	recoveryChars = 16
)

// maxTyped bounds what is looked at of an answer, in bytes.
const maxTyped = 64

// typed is what a person entered: one of the two, or nothing that can be a code.
type typed struct{ code, recovery string }

// parse reads an answer. Blanks and hyphens, which programs and paper show for
// the eye, do not count, and neither does letter case.
func parse(answer string) typed {
	if len(answer) > maxTyped {
		return typed{}
	}
	var plain strings.Builder
	number := true
	for _, c := range []byte(strings.TrimSpace(answer)) {
		switch {
		case c == ' ' || c == '-' || c == '\t':
			continue
		case c >= '0' && c <= '9':
		case c >= 'a' && c <= 'z':
			c -= 'a' - 'A'
			number = false
		case c >= 'A' && c <= 'Z':
			number = false
		default:
			return typed{}
		}
		plain.WriteByte(c)
	}
	switch text := plain.String(); {
	case number && len(text) == digits:
		return typed{code: text}
	case len(text) == recoveryChars:
		return typed{recovery: text}
	}
	return typed{}
}

// newRecovery returns recovery codes as they are shown, and what is kept of them.
func newRecovery(user core.UserID) (shown []string, kept [][]byte) {
	for range recoveryCodes {
		code, plain := newCode()
		shown, kept = append(shown, code), append(kept, digest(user, plain))
	}
	return shown, kept
}

// newCode returns a code that nobody can guess, as it is shown and as parse reads it.
func newCode() (shown, plain string) {
	random := make([]byte, recoverySize)
	rand.Read(random) // never fails (crypto/rand)
	plain = base32.StdEncoding.EncodeToString(random)
	var groups []string
	for at := 0; at < len(plain); at += recoveryGroup {
		groups = append(groups, plain[at:at+recoveryGroup])
	}
	return strings.ToLower(strings.Join(groups, "-")), plain
}

// digest is what is kept of a recovery code. It is of no use for another user.
func digest(user core.UserID, recovery string) []byte {
	sum := sha256.Sum256([]byte("kpm recovery code\x00" + string(user) + "\x00" + recovery))
	return sum[:]
}

// without returns the digests but that of recovery, and whether it was there.
func without(kept [][]byte, user core.UserID, recovery string) (rest [][]byte, was bool) {
	wanted := digest(user, recovery)
	for _, one := range kept {
		if subtle.ConstantTimeCompare(one, wanted) == 1 {
			was = true
			continue
		}
		rest = append(rest, one)
	}
	return rest, was
}
