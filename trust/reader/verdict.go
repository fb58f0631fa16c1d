package reader

import (
	"fmt"
	"slices"
	"strings"

	"kpm/core"
	"kpm/core/wire"
)

// Bounds of a verdict. Readers of formats have narrower ones: 16 signatures in
// a file, and 256 catalogs that may list it.
const (
	maxVerdict  = 1 << 20 // bytes, encoded
	maxEvidence = 512
	maxChain    = 64
	maxChecks   = 256
	maxText     = 4 << 10 // bytes
)

// Verdict is what a reader has to say of a file.
type Verdict struct {
	// Format is as in core.Provenance.
	Format   string
	Evidence []core.Evidence
}

// formats are those that a reader tells apart. That a file is ELF the service
// sees for itself.
var formats = []string{"pe", "msi", "cab", "catalog", "script", "mach-o", "elf", "other"}

// clean makes text from a file one line that can be shown and sent.
func clean(s string) string {
	if len(s) > maxText {
		s = s[:maxText-len("...")] + "..."
	}
	s = wire.Printable(s)
	if len(s) > maxText { // what replaces a byte is longer
		s = strings.ToValidUTF8(s[:maxText], "")
	}
	return s
}

// Clean makes every text of v one that can be shown and sent. Whoever judges
// does so at the end, with or without a reader between: the verdict is the same.
func (v *Verdict) Clean() {
	for i := range v.Evidence {
		e := &v.Evidence[i]
		for _, text := range []*string{&e.Reason, &e.Signer, &e.KeyID, &e.Identifier, &e.TeamID, &e.Digest, &e.Place} {
			*text = clean(*text)
		}
		for j := range e.Chain {
			c := &e.Chain[j]
			c.Subject, c.Issuer, c.Serial = clean(c.Subject), clean(c.Issuer), clean(c.Serial)
		}
		for j := range e.Checks {
			c := &e.Checks[j]
			c.Name, c.Detail = clean(c.Name), clean(c.Detail)
		}
	}
}

func (v *Verdict) encode() []byte {
	e := &encoder{}
	e.text(v.Format)
	e.number(uint64(len(v.Evidence)))
	for i := range v.Evidence {
		encodeEvidence(e, &v.Evidence[i])
	}
	return e.b
}

func encodeEvidence(e *encoder, one *core.Evidence) {
	e.number(uint64(one.Rank))
	e.number(uint64(one.Standing))
	for _, text := range []string{one.Kind, one.Reason, one.Signer, one.KeyID, one.Identifier, one.TeamID, one.Digest, one.TimeStamp, one.Place} {
		e.text(text)
	}
	e.time(one.SignedAt)
	e.number(uint64(len(one.Chain)))
	for _, c := range one.Chain {
		for _, text := range []string{c.Subject, c.Issuer, c.Serial, c.SHA1, c.SHA256, c.SPKI} {
			e.text(text)
		}
		e.time(c.NotBefore)
		e.time(c.NotAfter)
	}
	e.number(uint64(len(one.Checks)))
	for _, c := range one.Checks {
		e.text(c.Name)
		e.text(c.Outcome)
		e.text(c.Detail)
	}
}

// decodeVerdict takes a reader's word for nothing but what a file may carry.
func decodeVerdict(message []byte) (Verdict, error) {
	d := &decoder{b: message}
	v := Verdict{Format: d.printable(maxText)}
	if d.err == nil && !slices.Contains(formats, v.Format) {
		d.fail("there is no format %q", v.Format)
	}
	for range d.count(maxEvidence) {
		one := decodeEvidence(d)
		if d.err == nil {
			d.err = plausible(&one)
		}
		if d.err != nil {
			break
		}
		v.Evidence = append(v.Evidence, one)
	}
	if err := d.end(); err != nil {
		return Verdict{}, err
	}
	return v, nil
}

func decodeEvidence(d *decoder) core.Evidence {
	one := core.Evidence{Rank: core.Rank(d.number(uint64(core.RankSigned))), Standing: core.Standing(d.number(uint64(core.Trusted)))}
	for _, text := range []*string{&one.Kind, &one.Reason, &one.Signer, &one.KeyID, &one.Identifier, &one.TeamID, &one.Digest, &one.TimeStamp, &one.Place} {
		*text = d.printable(maxText)
	}
	one.SignedAt = d.time()
	for range d.count(maxChain) {
		var c core.Certificate
		for _, text := range []*string{&c.Subject, &c.Issuer, &c.Serial} {
			*text = d.printable(maxText)
		}
		c.SHA1, c.SHA256, c.SPKI = d.digest(20), d.digest(32), d.digest(32)
		c.NotBefore, c.NotAfter = d.time(), d.time()
		one.Chain = append(one.Chain, c)
	}
	for range d.count(maxChecks) {
		one.Checks = append(one.Checks, core.Check{Name: d.printable(maxText), Outcome: d.printable(maxText), Detail: d.printable(maxText)})
	}
	return one
}

// digest is one of size bytes in lower-case hex.
func (d *decoder) digest(size int) string {
	s := d.text(2 * size)
	if len(s) != 2*size || strings.Trim(s, "0123456789abcdef") != "" {
		d.fail("%q is no digest of %d bytes", s, size)
		return ""
	}
	return s
}

// carried are the kinds of evidence that a file itself can carry.
var carried = []string{
	core.KindAuthenticode, core.KindCatalog, core.KindMachO, core.KindIMA, core.KindEVM, core.KindVerity, core.KindOpenPGP,
}

// plausible refuses evidence that no reader of signatures gives.
//
// Attack: a reader that was taken over speaks for the package databases or for
// the operating system.
func plausible(e *core.Evidence) error {
	switch {
	case !slices.Contains(carried, e.Kind):
		return fmt.Errorf("%w: evidence of kind %q is not a reader's to give", errMalformed, e.Kind)
	case e.Rank != core.RankSigned:
		return fmt.Errorf("%w: a signature of rank %q", errMalformed, e.Rank)
	case e.Standing == core.Trusted && len(e.Chain) == 0 && e.KeyID == "":
		return fmt.Errorf("%w: a trusted signature of nobody", errMalformed)
	}
	for _, c := range e.Checks {
		if c.Outcome != core.Passed && c.Outcome != core.Failed && c.Outcome != core.NotChecked && c.Outcome != core.Weak {
			return fmt.Errorf("%w: a check with the outcome %q", errMalformed, c.Outcome)
		}
	}
	return nil
}

// answers reports nil if v is about what was asked.
//
// Attack: a reader that was taken over finds what the service has not seen: an
// attribute, or a signature beside the file.
func (v *Verdict) answers(q *Question) error {
	for i := range v.Evidence {
		switch v.Evidence[i].Kind {
		case core.KindIMA, core.KindEVM, core.KindVerity:
			if q.Facts.Empty() {
				return fmt.Errorf("%w: evidence about attributes that the file does not have", errMalformed)
			}
		case core.KindOpenPGP:
			if len(q.Detached) == 0 {
				return fmt.Errorf("%w: evidence about a detached signature that is not there", errMalformed)
			}
		case core.KindMachO:
			if v.Format != "mach-o" {
				return fmt.Errorf("%w: the signature of a Mach-O file in a file of format %q", errMalformed, v.Format)
			}
		}
	}
	return nil
}
