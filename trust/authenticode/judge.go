package authenticode

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"

	"kpm/core"
	"kpm/trust/chain"
	"kpm/trust/cms"
	"kpm/trust/timestamp"
)

// uncovered is the check that says what of a message nobody signs.
const uncovered = "parts of the signature that nobody signs"

// judge finishes the evidence: whether the message is about this file, and
// whether its signer is to be believed.
func (m *message) judge(s *subject, file computed, a *chain.Anchors) {
	if m.signer == nil {
		return
	}
	e := &m.evidence
	switch {
	case m.content.hash == 0:
		leave(e, "file digest", "algorithm "+m.content.name())
	case !bytes.Equal(file.whole[m.content.hash], m.content.digest):
		fail(e, "file digest", "")
		e.Standing, e.Reason = core.Broken, "the file was changed after it was signed"
		return
	default:
		pass(e, "file digest", "")
	}
	if m.content.pages != nil && !m.judgePages(file) {
		return
	}
	used := judgeSigner(e, m.signer, m.others, a)
	leave(e, uncovered, m.data.Uncovered(used, oidsUnderstood))
	if s.checks != nil {
		e.Checks = append(e.Checks, s.checks()...)
	}
	asserted(e, m.signer)
	distrust(e, m.content.hash)
	if e.Standing == core.Trusted && s.unproven != "" {
		e.Standing, e.Reason = core.Untrusted, s.unproven
	}
}

// distrust takes the trust from evidence that is intact and by someone trusted
// but knows the file by a digest that somebody else's file can have too, or
// that was not made.
func distrust(e *core.Evidence, h crypto.Hash) {
	if e.Standing != core.Trusted {
		return
	}
	switch {
	case h == 0:
		e.Standing, e.Reason = core.Untrusted, "the signature knows the file by a digest that is not supported"
	case weak(h):
		e.Standing, e.Reason = core.Untrusted, fmt.Sprintf("the signature knows the file by its %s digest, which can be forged", h)
	}
}

// judgePages compares the page hashes. They are of use to a loader that reads
// a page at a time, and protect nothing that the file's digest does not.
func (m *message) judgePages(file computed) (ok bool) {
	e := &m.evidence
	pages, made := file.pages[m.content.pageHash]
	switch {
	case !made:
		leave(e, "page hashes", "the file's layout leaves open what its pages are")
	case !bytes.Equal(pages, m.content.pages):
		fail(e, "page hashes", "")
		e.Standing, e.Reason = core.Broken, "the page hashes in the signature are not this file's"
		return false
	default:
		pass(e, "page hashes", m.content.pageHash.String())
	}
	return true
}

// judgeSigner makes e Trusted or Untrusted by the signer's certificate, as of
// the time that a trusted time-stamp proves, or now. A time-stamp that is
// about something else makes it Broken. used are the certificates of both chains
// that must have come along.
func judgeSigner(e *core.Evidence, signer *cms.Signer, others []*x509.Certificate, a *chain.Anchors) (used []*x509.Certificate) {
	var at time.Time
	stamp, present, err := timestamp.Of(signer, others, a)
	switch {
	case errors.Is(err, cms.ErrUnsupported):
		leave(e, "time-stamp", "its algorithm is not supported")
	case err != nil:
		fail(e, "time-stamp", err.Error())
		e.Standing, e.Reason = core.Broken, "the signature carries a time-stamp that is damaged or about something else"
		return nil
	case !present:
		leave(e, "time-stamp", "there is none")
	case stamp.Verdict.Standing == core.Trusted:
		at = stamp.At
		e.SignedAt, e.TimeStamp = stamp.At, stamp.Kind
		pass(e, "time-stamp", stamp.Verdict.Reason)
	default:
		fail(e, "time-stamp", stamp.Verdict.Reason)
	}
	e.Checks = append(e.Checks, stamp.Checks()...)

	verdict := a.CodeSigner(signer.Certificate, others, at)
	e.Signer = chain.SignerName(signer.Certificate)
	e.Chain = chain.DescribeAll(verdict.Chain)
	e.Standing, e.Reason = verdict.Standing, timestamp.Why(verdict, stamp, present, err)
	e.Checks = append(e.Checks, verdict.Checks...)
	if signer.Weak && e.Standing == core.Trusted {
		e.Standing, e.Reason = core.Untrusted, "the signature was made with an algorithm that can be forged"
	}
	return slices.Concat(verdict.Needed(), stamp.Verdict.Needed())
}
