package launcher

import (
	"encoding/base64"
	"unicode/utf8"

	"kpm/core"
	"kpm/core/fair"
	"kpm/core/wire"
	"kpm/launcher/journal"
)

// The journal keeps a fixed number of bytes, the newest ones. Attack: a user
// has a million requests denied, and with them removes the records of what they
// did before. So at once each user may fill a part of it, and the whole in no
// less than four hours. Whoever asks faster waits (Launcher.charge).
const (
	quotaPart   = 32      // of the journal's bytes, at once
	quotaRefill = 512     // seconds until an empty part is full again
	leastQuota  = 1 << 18 // bytes
	requestCost = 2 << 10 // bytes of a request's records without its subject
	controlCost = 1 << 10 // bytes more of one that a person is asked about
	leftCost    = 512     // bytes more of one that leaves processes behind
	signerCost  = 512     // bytes of one signer without its names
	digestCost  = 70      // bytes of one more digest
)

// newQuota bounds the bytes that users can have written into a journal of
// capacity bytes.
func newQuota(capacity int64) *fair.Rate[core.UserID] {
	part := max(leastQuota, capacity/quotaPart)
	return fair.NewRate[core.UserID](float64(part)/quotaRefill, int(part))
}

// recordBytes is about how many bytes a request takes in the journal.
func recordBytes(s core.Subject) int {
	return subjectBytes(s) + min(argvBytes(s.Argv), journal.MaxArgv)
}

// questionBytes is about how many bytes policy is asked with.
func questionBytes(s core.Subject) int { return subjectBytes(s) + argvBytes(s.Argv) }

// subjectBytes is about how many bytes all but the arguments take.
func subjectBytes(s core.Subject) int {
	n := requestCost + journal.EncodedBytes(s.Dir) + journal.EncodedBytes(s.Executable.Path) + journal.EncodedBytes(s.Executable.Requested)
	for _, signer := range s.Executable.Signers {
		n += signerCost + journal.EncodedBytes(signer.Subject) + len(signer.KeyID) + len(signer.TeamID) + digestCost*len(signer.Authorities)
	}
	return n
}

func argvBytes(argv []string) int {
	n := 0
	for i, arg := range wire.Shown(argv) {
		n += journal.EncodedBytes(arg) + len(`"",`)
		if !utf8.ValidString(argv[i]) {
			n += base64.StdEncoding.EncodedLen(len(argv[i])) + len(`"16384":"",`)
		}
	}
	return n
}
