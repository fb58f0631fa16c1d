package macho

import (
	"bytes"
	"context"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"errors"
	"slices"
	"time"

	"kpm/core"
	"kpm/trust/chain"
	"kpm/trust/cms"
	"kpm/trust/timestamp"
)

var oidData = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1}

// judgement is one slice's evidence in the making.
type judgement struct {
	*core.Evidence
	file *file
	sig  *signature
	info map[string]any // the Info.plist inside the image, if it is the sealed one
	may  entitlements
}

func (j *judgement) check(name, outcome, detail string) {
	j.Checks = append(j.Checks, core.Check{Name: name, Outcome: outcome, Detail: detail})
}

// judgeSlice judges one image. No evidence: it claims no signature.
func (f *file) judgeSlice(ctx context.Context, s slice) (*core.Evidence, error) {
	im, err := f.readImage(s)
	if im == nil || err != nil || im.signature == nil {
		return nil, err
	}
	sig, err := f.readSignature(s, *im.signature)
	if err != nil {
		return nil, err
	}
	e := broken("it was not judged to the end")
	e.Identifier, e.TeamID, e.Digest = sig.best.identifier, sig.best.team, sig.best.digest.name
	j := &judgement{Evidence: &e, file: f, sig: sig, may: readEntitlements(sig.content(slotEntitlements), sig.content(slotEntitlementsD))}
	page, err := f.verifyPages(ctx, s, sig.best)
	switch {
	case err != nil:
		return nil, err
	case page >= 0:
		j.check("file digest", core.Failed, "")
		e.Reason = "the file was changed after it was signed"
		return &e, nil
	}
	f.code = append(f.code, extent{uint64(s.offset), im.signature.offset})
	j.check("file digest", core.Passed, "code directory hash "+hex.EncodeToString(sig.best.cdHash()))
	if err := j.judgeInfo(s, im); err != nil {
		return nil, err
	}
	requirements, err := sig.requirements()
	if err != nil {
		e.Reason = sentence(err)
		return &e, nil
	}
	signer, message := j.judgeMessage()
	if signer != nil {
		j.judgeSigner(signer, message, requirements[requirementDesignated])
	}
	if e.Standing != core.Broken {
		j.claims(requirements)
	}
	return &e, nil
}

// judgeInfo finds out whether the sealed Info.plist is the one inside the
// image. The one of a bundle lies beside it.
func (j *judgement) judgeInfo(s slice, im *image) error {
	hash := j.sig.best.specialSlot(slotInfoPlist)
	if hash == nil {
		return nil
	}
	const beside = "it lies beside the file"
	at := im.infoPlist
	if at == nil || at.size > maxPlist || at.offset > uint64(s.size) || at.end() > uint64(s.size) {
		j.check("Info.plist", core.NotChecked, beside)
		return nil
	}
	data := make([]byte, at.size)
	if err := readFull(j.file.r, data, s.offset+int64(at.offset)); err != nil {
		return err
	}
	if !bytes.Equal(j.sig.best.digest.sum(data), hash) {
		j.check("Info.plist", core.NotChecked, beside)
		return nil
	}
	j.check("Info.plist", core.Passed, "")
	if info, err := parsePlist(data); err == nil {
		j.info = info
	}
	return nil
}

func (sig *signature) requirements() (map[uint32]*Requirement, error) {
	b, there := sig.blobs[slotRequirements]
	if !there {
		return nil, nil
	}
	return parseRequirements(b.data)
}

// judgeMessage verifies the signer's message over the first code directory and
// that it speaks for the others. No signer: the evidence is finished.
func (j *judgement) judgeMessage() (*cms.Signer, *cms.SignedData) {
	adHoc := j.sig.best.flags&flagAdHoc != 0
	switch {
	case j.sig.cms == nil && !adHoc:
		j.Reason = "the signer's message was taken out of the signature"
		return nil, nil
	case j.sig.cms == nil:
		j.Standing, j.Reason = core.Untrusted, "it is signed by nobody (ad hoc)"
		if j.sig.best.flags&flagLinkerSigned != 0 {
			j.Reason = "it is signed by nobody (ad hoc, by the linker)"
		}
		j.check("signer", core.Failed, "there is none")
		return nil, nil
	}
	message, err := cms.Parse(j.sig.cms)
	if err != nil {
		j.check("signature", core.Failed, err.Error())
		j.Reason = "the signer's message is damaged"
		return nil, nil
	}
	if !message.ContentType.Equal(oidData) || message.ContentDER != nil {
		j.check("signature", core.Failed, "")
		j.Reason = "the signer's message is about something else than code"
		return nil, nil
	}
	signer, err := message.Verify(j.sig.directories[0].raw)
	switch {
	case errors.Is(err, cms.ErrUnsupported):
		j.check("signature", core.NotChecked, err.Error())
		j.Standing, j.Reason = core.Untrusted, "the signature was made with an algorithm that is not supported"
		return nil, nil
	case err != nil:
		j.check("signature", core.Failed, err.Error())
		j.Reason = "the signer's message is not about this file, or not the signer's"
		return nil, nil
	}
	j.check("signature", core.Passed, signer.Hash.String())
	if err := j.sig.checkAgility(signer); err != nil {
		j.check("code directories", core.Failed, "")
		j.Reason = sentence(err)
		return nil, nil
	}
	return signer, message
}

// judgeSigner makes the evidence Trusted or Untrusted, by who signed and by
// what was signed.
func (j *judgement) judgeSigner(signer *cms.Signer, message *cms.SignedData, designated *Requirement) {
	others := message.Certificates
	stamp, present, err := timestamp.Of(signer, others, j.file.anchors)
	at, ok := j.judgeStamp(stamp, present, err)
	if !ok {
		return
	}
	leaf := signer.Certificate
	verdict := j.file.anchors.AppleSigner(leaf, others, at)
	j.Signer, j.Chain = chain.SignerName(leaf), chain.DescribeAll(verdict.Chain)
	j.Standing, j.Reason = verdict.Standing, timestamp.Why(verdict, stamp, present, err)
	j.Checks = append(j.Checks, verdict.Checks...)
	j.check("parts of the signature that nobody signs", core.NotChecked,
		message.Uncovered(slices.Concat(verdict.Needed(), stamp.Verdict.Needed()), timestamp.Attributes()))
	doubt := func(reason string) {
		if j.Standing == core.Trusted {
			j.Standing, j.Reason = core.Untrusted, reason
		}
	}
	if signer.Weak {
		doubt("the signature was made with an algorithm that can be forged")
	}
	if weak := j.sig.best.digest.rank == 1; weak {
		doubt("the signature knows the file by SHA-1, which can be forged")
	}
	if j.sig.best.flags&flagAdHoc != 0 {
		doubt("it calls itself signed by nobody (ad hoc)")
	}
	j.judgeTeam(verdict.Chain, doubt)
	j.judgeDesignated(designated, verdict.Chain, others, doubt)
}

// oidAppStore marks the certificates with which Apple signs what the Mac App
// Store sells.
var oidAppStore = asn1.ObjectIdentifier{1, 2, 840, 113635, 100, 6, 1, 9}

// judgeTeam: a team is what policies go by, and only a certificate can give
// one. It is the leaf's organizational unit, except that Apple signs for the
// teams whose programs it sells (the designated requirements that Apple's
// codesign writes make the same exception).
//
// Attack: whoever made a certificate that is trusted by its thumbprint wrote
// what it says of itself, the Mac App Store's mark too. It is the chain that
// says who is Apple.
func (j *judgement) judgeTeam(path []*x509.Certificate, doubt func(string)) {
	leaf := path[0]
	team, units := j.TeamID, leaf.Subject.OrganizationalUnit
	store := len(path) > 1 && slices.ContainsFunc(leaf.Extensions, func(e pkix.Extension) bool { return e.Id.Equal(oidAppStore) })
	switch {
	case team == "":
	case len(units) == 1 && units[0] == team:
		j.check("team", core.Passed, team)
	case store && j.Standing == core.Trusted:
		j.check("team", core.Passed, team+", says the Mac App Store")
	default:
		j.check("team", core.Failed, "the certificate is of "+chain.Describe(leaf).Subject)
		doubt("it claims a team that its signer's certificate does not belong to")
		j.TeamID = ""
	}
}

// judgeStamp returns the time that a trusted authority proves, zero if there
// is none. False: the stamp is broken, and so is the evidence.
func (j *judgement) judgeStamp(stamp timestamp.Stamp, present bool, err error) (at time.Time, ok bool) {
	switch {
	case errors.Is(err, cms.ErrUnsupported):
		j.check("time-stamp", core.NotChecked, "its algorithm is not supported")
	case err != nil:
		j.check("time-stamp", core.Failed, err.Error())
		j.Reason = "the signature carries a time-stamp that is damaged or about something else"
		return time.Time{}, false
	case !present:
		j.check("time-stamp", core.NotChecked, "there is none")
	case stamp.Verdict.Standing == core.Trusted:
		at = stamp.At
		j.SignedAt, j.TimeStamp = stamp.At, stamp.Kind
		j.check("time-stamp", core.Passed, stamp.Verdict.Reason)
	default:
		j.check("time-stamp", core.Failed, stamp.Verdict.Reason)
	}
	j.Checks = append(j.Checks, stamp.Checks()...)
	return at, true
}

// judgeDesignated holds the program against its own designated requirement:
// whoever knows it by that would not know it again if it failed.
func (j *judgement) judgeDesignated(r *Requirement, path, others []*x509.Certificate, doubt func(string)) {
	const name = "designated requirement"
	if r == nil {
		j.check(name, core.NotChecked, "it states none")
		return
	}
	switch r.evaluate(Subject{
		Identifier: j.Identifier, CDHash: j.sig.best.cdHash(), Platform: j.sig.best.platform,
		Chain: extend(path, others), AppleRoots: j.file.anchors.AppleRoots,
		Info: j.info, Entitlements: j.may.values,
	}) {
	case yes:
		j.check(name, core.Passed, r.String())
	case no:
		j.check(name, core.Failed, r.String())
		doubt("it does not meet its own designated requirement")
	default:
		j.check(name, core.NotChecked, "this machine cannot tell: "+r.String())
	}
}

// maxExtended bounds the signatures that are checked to complete a chain.
const maxExtended = 16

// extend completes a chain that ends below its root, as one does that is
// trusted by its leaf, by certificates that came along.
//
// Attack: sixty certificates of one name, each the issuer of another, with the
// slowest keys there are: finding the way through them takes seconds.
func extend(path, others []*x509.Certificate) []*x509.Certificate {
	path = slices.Clone(path)
	left := maxExtended
	for range others {
		top := path[len(path)-1]
		if bytes.Equal(top.RawIssuer, top.RawSubject) {
			break
		}
		i := slices.IndexFunc(others, func(c *x509.Certificate) bool {
			if !bytes.Equal(c.RawSubject, top.RawIssuer) || slices.ContainsFunc(path, c.Equal) {
				return false
			}
			left--
			return left >= 0 && top.CheckSignatureFrom(c) == nil
		})
		if i < 0 {
			break
		}
		path = append(path, others[i])
	}
	return path
}
