package judge

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"time"

	"kpm/core"
	"kpm/trust/authenticode"
	"kpm/trust/chain"
	"kpm/trust/ima"
	"kpm/trust/openpgp"
	"kpm/trust/reader"
)

// Trusted is whom this machine trusts.
type Trusted struct {
	Anchors  *chain.Anchors
	FileKeys *ima.Keys
	OpenPGP  *openpgp.Keyring // nil: nobody
	Catalogs []*authenticode.Catalog
}

// Parse reads what a bundle holds. One source that cannot be understood fails
// all: without a revocation list the rest would trust too much.
func Parse(b *reader.Bundle, now func() time.Time) (*Trusted, error) {
	p := parser{bundle: b}
	anchors := &chain.Anchors{
		CodeRoots:   p.certificates(reader.Roots),
		TimeRoots:   p.certificates(reader.TimeStampRoots),
		AppleRoots:  p.certificates(reader.AppleRoots),
		Thumbprints: map[string]bool{}, Now: now,
	}
	for _, thumbprint := range b.Thumbprints {
		anchors.Thumbprints[thumbprint] = true
	}
	for _, s := range b.Of(reader.RevocationLists) {
		anchors.RevocationLists = append(anchors.RevocationLists, p.revocations(s)...)
	}
	t := &Trusted{Anchors: anchors, FileKeys: ima.NewKeys(p.certificates(reader.FileCertificates))}
	t.FileKeys.Now = now
	if p.err == nil {
		t.OpenPGP, p.err = b.Keyring()
	}
	for _, s := range b.Of(reader.Catalogs) {
		t.Catalogs = append(t.Catalogs, p.catalog(s, anchors))
	}
	return t, p.err
}

// parser goes on after the first error without doing anything.
type parser struct {
	bundle *reader.Bundle
	err    error
}

func (p *parser) fault(s reader.Source, expected string, err error) {
	if p.err == nil {
		p.err = s.Fault(expected, err)
	}
}

func (p *parser) certificates(setting string) []*x509.Certificate {
	var all []*x509.Certificate
	for _, s := range p.bundle.Of(setting) {
		list, err := blocks(s.Data, "CERTIFICATE", x509.ParseCertificate)
		if err != nil {
			p.fault(s, "certificates, PEM or DER", err)
		}
		all = append(all, list...)
	}
	return all
}

func (p *parser) revocations(s reader.Source) []*x509.RevocationList {
	list, err := blocks(s.Data, "X509 CRL", x509.ParseRevocationList)
	if err != nil {
		p.fault(s, "revocation lists, PEM or DER", err)
	}
	return list
}

func (p *parser) catalog(s reader.Source, anchors *chain.Anchors) *authenticode.Catalog {
	if p.err != nil {
		return nil
	}
	// One whose signer has expired or is unknown is not trusted, and says
	// so of every file that it lists: no reason not to start.
	catalog, evidence := authenticode.ReadCatalog(s.Data, anchors)
	if catalog == nil || evidence.Standing == core.Broken {
		p.fault(s, "a signed catalog", errors.New(evidence.Reason))
	}
	return catalog
}

// blocks reads PEM blocks of one kind, at least one, or one DER object.
func blocks[T any](data []byte, kind string, parse func([]byte) (T, error)) ([]T, error) {
	var all []T
	for rest := data; ; {
		block, after := pem.Decode(rest)
		if block == nil {
			break
		}
		if block.Type != kind {
			return nil, fmt.Errorf("found a PEM block of type %q", block.Type)
		}
		one, err := parse(block.Bytes)
		if err != nil {
			return nil, err
		}
		all, rest = append(all, one), after
	}
	if len(all) > 0 {
		return all, nil
	}
	one, err := parse(data)
	if err != nil {
		return nil, err
	}
	return []T{one}, nil
}
