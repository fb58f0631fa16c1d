// Package approvalcode makes and reads one-time codes by which somebody approves a
// request over the telephone: whoever asks reads a challenge aloud, the help desk makes
// a code of it with the machine's key, and the machine compares. Both sides do so
// without a connection between them (docs/approvals.md, "Codes over the telephone").
//
// It keeps nothing and counts nothing: that a code counts once, and how many may be
// tried, is up to whoever asks it.
package approvalcode

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Step is how long the code of a challenge stays the same, since 1970. The one before
// and the one after are right as well: a code counts for 15 to 30 minutes, and clocks
// may differ by 15.
const Step = 15 * time.Minute

// Sizes: of a key and of a challenge in bytes, of a code in decimal digits.
const (
	KeyBytes       = 32
	challengeBytes = 10
	digits         = 10
	modulus        = 10_000_000_000
)

// maxText bounds what is read, in bytes: a key with all its hyphens is shorter.
const maxText = 256

// Errors of what somebody has typed.
var (
	ErrKey       = errors.New("it is no key: expected the 52 letters and digits that approvals key new has shown, in groups or not")
	ErrChallenge = errors.New("it is no challenge: expected 16 letters and digits such as ABCD-EFGH-2345-WXYZ; there is no 0, 1, 8 or 9 in it")
	ErrCode      = errors.New("it is no code: expected 10 digits such as 12345-67890")
)

var letters = base32.StdEncoding.WithPadding(base32.NoPadding)

// Key is what a machine shares with its help desk.
type Key [KeyBytes]byte

// NewKey returns a random key.
func NewKey() (k Key) {
	rand.Read(k[:]) // which never fails
	return k
}

// String is the key as it is written down.
func (k Key) String() string { return grouped(letters.EncodeToString(k[:]), 4) }

// ParseKey reads a key as String writes it; blanks, hyphens and letter case do not
// count. The error is ErrKey.
func ParseKey(text string) (k Key, err error) {
	raw, ok := read(text, KeyBytes)
	if !ok {
		return k, ErrKey
	}
	copy(k[:], raw)
	return k, nil
}

// Challenge names one request of one machine, and says nothing else of it.
type Challenge [challengeBytes]byte

// NewChallenge returns the challenge of what parts are: the same for the same parts
// alone.
func NewChallenge(parts ...[]byte) (c Challenge) {
	h := sha256.New()
	for _, part := range parts {
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(part))))
		h.Write(part)
	}
	copy(c[:], h.Sum(nil))
	return c
}

// String is the challenge as it is read aloud.
func (c Challenge) String() string { return grouped(letters.EncodeToString(c[:]), 4) }

// ParseChallenge reads a challenge as String writes it; blanks, hyphens and letter case
// do not count. The error is ErrChallenge.
func ParseChallenge(text string) (c Challenge, err error) {
	raw, ok := read(text, challengeBytes)
	if !ok {
		return c, ErrChallenge
	}
	copy(c[:], raw)
	return c, nil
}

// Code is the code of a challenge at a time.
func (k Key) Code(c Challenge, at time.Time) string {
	return grouped(k.code(c, at.Unix()/int64(Step/time.Second)), 5)
}

// Until is when the code of a time stops to count, by a clock that is right.
func Until(at time.Time) time.Time { return at.Truncate(Step).Add(2 * Step).UTC() }

// code is HMAC-SHA-256 of the step, modulo ten to the tenth: of 64 bits the excess is
// of no use to anybody.
func (k Key) code(c Challenge, step int64) string {
	mac := hmac.New(sha256.New, k[:])
	mac.Write([]byte("kpm approval code 1\n"))
	mac.Write(c[:])
	mac.Write(binary.BigEndian.AppendUint64(nil, uint64(step)))
	return fmt.Sprintf("%010d", binary.BigEndian.Uint64(mac.Sum(nil))%modulus)
}

// Right reports whether text is the code of a challenge at a time. The error is ErrCode
// if it is none at all. It takes as long whatever the code is.
func (k Key) Right(c Challenge, text string, at time.Time) (bool, error) {
	entered, ok := plain(text)
	if !ok || len(entered) != digits || strings.Trim(entered, "0123456789") != "" {
		return false, ErrCode
	}
	now, right := at.Unix()/int64(Step/time.Second), 0
	for step := now - 1; step <= now+1; step++ {
		right |= subtle.ConstantTimeCompare([]byte(k.code(c, step)), []byte(entered))
	}
	return right == 1, nil
}

func grouped(text string, n int) string {
	var groups []string
	for len(text) > n {
		groups, text = append(groups, text[:n]), text[n:]
	}
	return strings.Join(append(groups, text), "-")
}

// plain is text without what people put between groups.
func plain(text string) (string, bool) {
	if len(text) > maxText {
		return "", false
	}
	return strings.NewReplacer(" ", "", "-", "", "\t", "", "\r", "", "\n", "").Replace(text), true
}

// read reads base32 of exactly n bytes, each of which is written in one way alone.
func read(text string, n int) ([]byte, bool) {
	text, ok := plain(text)
	if !ok {
		return nil, false
	}
	text = strings.ToUpper(text)
	raw, err := letters.DecodeString(text)
	return raw, err == nil && len(raw) == n && letters.EncodeToString(raw) == text
}
