package authenticode

import (
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"slices"

	"kpm/core"
	"kpm/trust/chain"
	"kpm/trust/cms"
)

// Verify judges every signature that the file of size bytes behind r carries,
// nested ones included, and adds what catalogs say about it. It reads the file
// once, and if no catalog is asked, a file that is not signed only as far as
// that takes. format is "pe", "msi", "cab", "script" or "catalog", or "" for
// any other file, of which only catalogs can have evidence.
//
// An error means that the bytes could not be read; whatever is wrong with a
// signature is Broken evidence.
func Verify(ctx context.Context, r io.ReaderAt, size int64, a *chain.Anchors, catalogs ...*Catalog) (format string, evidence []core.Evidence, err error) {
	r = impatient{ctx, r}
	s, err := open(r, size)
	if err != nil || s == nil && len(catalogs) == 0 {
		return "", nil, err
	}
	var made map[crypto.Hash][]byte
	if s != nil {
		format = s.format
		if evidence, made, err = s.evidence(ctx, a, listedBy(s, catalogs)); err != nil {
			return "", nil, err
		}
	}
	if len(catalogs) == 0 {
		return format, evidence, nil
	}
	digests, err := s.listing(ctx, r, size, hashesOf(catalogs), made)
	if err != nil {
		return "", nil, err
	}
	for _, c := range catalogs {
		if e, ok := c.judgeFile(digests); ok {
			evidence = append(evidence, e)
		}
	}
	return format, evidence, nil
}

// impatient is a file that can no longer be read once ctx ends.
//
// Attack: a package whose tables are all there is to it, two million sectors to
// be read one by one before there is anything to hash.
type impatient struct {
	ctx context.Context
	io.ReaderAt
}

func (r impatient) ReadAt(p []byte, off int64) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.ReaderAt.ReadAt(p, off)
}

// evidence judges the signatures of s itself, and makes more digests while it
// is at it.
func (s *subject) evidence(ctx context.Context, a *chain.Anchors, more []crypto.Hash) ([]core.Evidence, map[crypto.Hash][]byte, error) {
	if s.malformed != nil {
		e := core.Evidence{Kind: core.KindAuthenticode, Rank: core.RankSigned}
		refuse(&e, "signature container", s.malformed)
		return []core.Evidence{e}, nil, nil
	}
	if s.format == formatCatalog {
		_, e := ReadCatalog(s.signatures[0], a)
		return []core.Evidence{e}, nil, nil
	}
	messages := s.messages()
	file, err := s.compute(ctx, messages, more)
	if err != nil {
		return nil, nil, err
	}
	var evidence []core.Evidence
	for i, m := range messages {
		if len(messages) > 1 {
			m.evidence.Place = fmt.Sprintf("signature %d of %d", i+1, len(messages))
			if m.nested {
				m.evidence.Place += ", nested"
			}
		}
		// Attack: a small file with as many signatures and certificates as there
		// may be, which take longer than whoever asked is ready to wait.
		if err := ctx.Err(); err != nil {
			return nil, nil, err
		}
		m.judge(s, file, a)
		evidence = append(evidence, m.evidence)
	}
	return evidence, file.whole, nil
}

// message is one signature of a subject on its way to being evidence. With a
// nil signer it has arrived.
type message struct {
	evidence core.Evidence
	nested   bool
	signer   *cms.Signer
	others   []*x509.Certificate // that came with it
	data     *cms.SignedData
	content  indirect
}

// messages reads the signatures of s, and behind each those that are nested in
// it. It does not look at the file yet.
func (s *subject) messages() []*message {
	var all []*message
	for _, blob := range s.signatures {
		all = s.unfold(all, blob, false)
	}
	return all
}

// unfold appends the message in blob and those that are nested in it: values
// of an attribute that is not itself signed, so anyone can add or remove them,
// and each has to stand for itself. signtool nests no deeper than once.
func (s *subject) unfold(all []*message, blob []byte, nested bool) []*message {
	if len(all) > maxSignatures {
		return all
	}
	m := &message{nested: nested, evidence: core.Evidence{Kind: core.KindAuthenticode, Rank: core.RankSigned}}
	if len(all) == maxSignatures {
		refuse(&m.evidence, "signature", malformed("the file has more than %d signatures", maxSignatures))
		return append(all, m)
	}
	all = append(all, m)
	m.read(blob, s)
	if m.signer == nil {
		return all
	}
	inner := m.signer.UnsignedValues(oidNested)
	if nested && len(inner) > 0 {
		m.signer = nil
		refuse(&m.evidence, "signature", malformed("signatures are nested too deep"))
		return all
	}
	for _, value := range inner {
		all = s.unfold(all, value.FullBytes, true)
	}
	return all
}

// read verifies the message in blob as far as that goes without the file: that
// it is one, is signed, and is about a file of the format of s.
func (m *message) read(blob []byte, s *subject) {
	data, err := cms.Parse(blob)
	if err != nil {
		refuse(&m.evidence, "signature", err)
		return
	}
	// Nothing aligns a script, and no signer writes more than the signature.
	if data.Padding > 0 && s.format == formatScript {
		refuse(&m.evidence, "signature", malformed("something was appended to the signature"))
		return
	}
	// A message over other content, signed as validly, says nothing about a
	// file: not a time-stamp, and not signed attributes that are taken for
	// content.
	if !data.ContentType.Equal(oidIndirectData) {
		refuse(&m.evidence, "signature", malformed("the signature is about something other than a file"))
		return
	}
	signer, err := data.Verify(nil)
	if err != nil {
		refuse(&m.evidence, "signature", err)
		return
	}
	m.evidence.Signer = chain.SignerName(signer.Certificate)
	if m.content, err = readIndirect(data.ContentDER); err == nil {
		err = m.content.fits(s)
	}
	if err != nil {
		refuse(&m.evidence, "signed content", err)
		return
	}
	m.evidence.Digest = m.content.name()
	pass(&m.evidence, "signature", "")
	m.signer, m.others, m.data = signer, data.Certificates, data
}

// computed is what the one pass over the file has made.
type computed struct {
	whole, pages map[crypto.Hash][]byte
}

// compute makes the digests that messages need, and more.
func (s *subject) compute(ctx context.Context, messages []*message, more []crypto.Hash) (computed, error) {
	var c computed
	hashes := slices.Clone(more)
	var pages []crypto.Hash
	for _, m := range messages {
		if m.signer == nil || m.content.hash == 0 {
			continue
		}
		if !slices.Contains(hashes, m.content.hash) {
			hashes = append(hashes, m.content.hash)
		}
		if m.content.pages != nil && !slices.Contains(pages, m.content.pageHash) {
			pages = append(pages, m.content.pageHash)
		}
	}
	var err error
	switch {
	case len(hashes) == 0:
	case len(pages) > 0 && s.digestPages != nil:
		c.whole, c.pages, err = s.digestPages(ctx, hashes, pages)
	default:
		c.whole, err = s.digest(ctx, hashes)
	}
	return c, err
}

// refuse makes e Broken, or Untrusted where err is only that the algorithm is
// unknown here.
func refuse(e *core.Evidence, check string, err error) {
	e.Standing = core.Broken
	switch {
	case errors.Is(err, cms.ErrUnsupported):
		e.Standing, e.Reason = core.Untrusted, "the signature uses an algorithm that is not supported"
	case errors.Is(err, cms.ErrForged):
		e.Reason = "the signature is forged: it does not match what it is over or the signer's key"
	case errors.Is(err, errMalformed):
		e.Reason = sentence(err)
		fail(e, check, "")
		return
	default:
		e.Reason = "the signature is damaged"
	}
	fail(e, check, err.Error())
}

func pass(e *core.Evidence, check, detail string) {
	e.Checks = append(e.Checks, core.Check{Name: check, Outcome: core.Passed, Detail: detail})
}

func fail(e *core.Evidence, check, detail string) {
	e.Checks = append(e.Checks, core.Check{Name: check, Outcome: core.Failed, Detail: detail})
}

func leave(e *core.Evidence, check, detail string) {
	e.Checks = append(e.Checks, core.Check{Name: check, Outcome: core.NotChecked, Detail: detail})
}
