package trusttest

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"math/big"
	"time"

	"kpm/trust/chain"
)

var (
	oidExtKeyUsage  = asn1.ObjectIdentifier{2, 5, 29, 37}
	oidTimeStamping = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 8}
	oidCodeSigning  = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 3}
	oidLifetime     = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 10, 3, 13}
	oidAppleDevID   = asn1.ObjectIdentifier{1, 2, 840, 113635, 100, 6, 1, 13}
	oidAppleDevCA   = asn1.ObjectIdentifier{1, 2, 840, 113635, 100, 6, 2, 6}
	oidAppleStore   = asn1.ObjectIdentifier{1, 2, 840, 113635, 100, 6, 1, 9}
	oidAppleDev     = asn1.ObjectIdentifier{1, 2, 840, 113635, 100, 6, 1, 12}
	oidConstraints  = asn1.ObjectIdentifier{2, 5, 29, 30}
	oidAppleWWDR    = asn1.ObjectIdentifier{1, 2, 840, 113635, 100, 6, 2, 1}
)

// Reasons of RFC 5280, section 5.3.1.
const (
	reasonKeyCompromise = 1
	reasonSuperseded    = 4
)

// builder makes entities until the first error.
type builder struct {
	now   time.Time
	made  map[string]*Entity
	keys  map[string]func() (crypto.Signer, error)
	error error
}

const year = 365 * 24 * time.Hour

func build() (*PKI, error) {
	b := &builder{now: time.Now().UTC().Truncate(time.Second), made: map[string]*Entity{}, keys: map[string]func() (crypto.Signer, error){
		"root": newRSA(2048), "issuing": newRSA(2048), "leaf": newRSA(2048), "time": newRSA(2048), "weak": newRSA(1024), "ec": newEC,
	}}
	b.codeSigners()
	b.badPaths()
	b.stampers()
	b.apple()
	lists := b.lists()
	if b.error != nil {
		return nil, fmt.Errorf("test certificates: %w", b.error)
	}
	return &PKI{Now: b.now, entities: b.made, lists: lists}, nil
}

// Anchors trusts Root, ECRoot, TimeRoot and AppleRoot and knows the lists. The
// clock is the machine's.
func (p *PKI) Anchors() *chain.Anchors {
	return &chain.Anchors{
		CodeRoots:       []*x509.Certificate{p.Get(Root).Certificate, p.Get(ECRoot).Certificate},
		TimeRoots:       []*x509.Certificate{p.Get(TimeRoot).Certificate},
		AppleRoots:      []*x509.Certificate{p.Get(AppleRoot).Certificate},
		RevocationLists: p.lists,
	}
}

// make adds an entity below issuer (itself if ""), with the key of that name.
func (b *builder) make(name, issuer, key string, template x509.Certificate) {
	if b.error != nil {
		return
	}
	k, err := b.keys[key]()
	if err == nil {
		var parent *Entity
		if issuer != "" {
			parent = b.made[issuer]
		}
		b.made[name], err = Issue(name, template, k, parent)
	}
	if err != nil {
		b.error = fmt.Errorf("%s: %w", name, err)
	}
}

func (b *builder) ca(common string, extra ...func(*x509.Certificate)) x509.Certificate {
	c := x509.Certificate{
		Subject: subject("Example Trust", common), NotBefore: b.now.Add(-9 * year), NotAfter: b.now.Add(10 * year),
		IsCA: true, BasicConstraintsValid: true, MaxPathLen: -1, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	return with(c, extra)
}

func (b *builder) leaf(common string, extra ...func(*x509.Certificate)) x509.Certificate {
	c := x509.Certificate{
		Subject: subject(Organization, common), NotBefore: b.now.Add(-2 * year), NotAfter: b.now.Add(year),
		BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning},
	}
	return with(c, extra)
}

func with(c x509.Certificate, extra []func(*x509.Certificate)) x509.Certificate {
	for _, change := range extra {
		change(&c)
	}
	return c
}

func (b *builder) expired(c *x509.Certificate) {
	c.NotBefore, c.NotAfter = b.now.Add(-3*year), b.now.Add(-year)
}

func usages(u ...x509.ExtKeyUsage) func(*x509.Certificate) {
	return func(c *x509.Certificate) { c.ExtKeyUsage = u }
}

func marker(oid asn1.ObjectIdentifier, critical bool) func(*x509.Certificate) {
	return func(c *x509.Certificate) {
		c.ExtraExtensions = append(c.ExtraExtensions, pkix.Extension{Id: oid, Critical: critical, Value: null})
	}
}

// criticalUsages writes the extension itself: crypto/x509 never marks it
// critical, and RFC 3161, section 2.3, wants that of a time-stamper.
func criticalUsages(oids ...asn1.ObjectIdentifier) func(*x509.Certificate) {
	return func(c *x509.Certificate) {
		value, err := asn1.Marshal(oids)
		if err != nil {
			panic(err)
		}
		c.ExtKeyUsage = nil
		c.ExtraExtensions = append(c.ExtraExtensions, pkix.Extension{Id: oidExtKeyUsage, Critical: true, Value: value})
	}
}

func (b *builder) codeSigners() {
	b.make(Root, "", "root", b.ca("Example Root"))
	b.make(Issuing, Root, "issuing", b.ca("Example Issuing", func(c *x509.Certificate) { c.MaxPathLen, c.MaxPathLenZero = 0, true }))
	b.make(ECRoot, "", "ec", b.ca("Example EC Root"))
	b.make(ECIssuing, ECRoot, "ec", b.ca("Example EC Issuing"))
	b.make(StrangerRoot, "", "ec", b.ca("Example Root"))
	b.make(Good, Issuing, "leaf", b.leaf("Good"))
	b.make(GoodEC, ECIssuing, "ec", b.leaf("Good EC"))
	b.make(Stranger, StrangerRoot, "ec", b.leaf("Good"))
	b.make(SelfSigned, "", "ec", b.leaf("Good"))
	b.make(Expired, Issuing, "leaf", b.leaf("Expired", b.expired))
	b.make(NotYet, Issuing, "leaf", b.leaf("Not yet", func(c *x509.Certificate) { c.NotBefore = b.now.Add(24 * time.Hour) }))
	b.make(ServerAuth, Issuing, "leaf", b.leaf("Server", usages(x509.ExtKeyUsageServerAuth)))
	b.make(NoEKU, Issuing, "leaf", b.leaf("No usage", usages()))
	b.make(AnyEKU, Issuing, "leaf", b.leaf("Any usage", usages(x509.ExtKeyUsageAny)))
	b.make(NoSigning, Issuing, "leaf", b.leaf("No signing", func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyEncipherment }))
	b.make(Lifetime, Issuing, "leaf", b.leaf("Lifetime", b.expired, func(c *x509.Certificate) {
		c.UnknownExtKeyUsage = []asn1.ObjectIdentifier{oidLifetime}
	}))
	for _, name := range []string{Revoked, Superseded, Compromised} {
		b.make(name, Issuing, "leaf", b.leaf(name))
	}
}

func (b *builder) badPaths() {
	b.make(CASigner, Root, "leaf", b.ca("CA that signs", usages(x509.ExtKeyUsageCodeSigning), func(c *x509.Certificate) {
		c.KeyUsage |= x509.KeyUsageDigitalSignature
	}))
	b.make(RevokedCA, Root, "ec", b.ca("Revoked CA"))
	b.make(BelowRevoked, RevokedCA, "leaf", b.leaf("Below revoked"))
	b.make(ServerCA, Root, "ec", b.ca("Server CA", usages(x509.ExtKeyUsageServerAuth)))
	b.make(BelowServerCA, ServerCA, "leaf", b.leaf("Below server CA"))
	b.make(TooLongCA, Issuing, "ec", b.ca("Too long CA"))
	b.make(TooLong, TooLongCA, "leaf", b.leaf("Too long"))
	b.make(BelowLeaf, Good, "ec", b.leaf("Below leaf"))
	b.make(ConstrainedCA, Root, "ec", b.ca("Constrained CA", func(c *x509.Certificate) {
		c.PermittedDNSDomainsCritical, c.PermittedEmailAddresses = true, []string{"example.com"}
	}))
	b.make(Constrained, ConstrainedCA, "leaf", b.leaf("Constrained", func(c *x509.Certificate) {
		c.EmailAddresses = []string{"a@example.net"}
	}))
	b.make(DirectoryCA, Root, "ec", b.ca("Directory CA", func(c *x509.Certificate) {
		// permittedSubtrees [0], one subtree, directoryName [4]
		c.ExtraExtensions = []pkix.Extension{{Id: oidConstraints, Value: of(0x30, of(0xa0, of(0x30, of(0xa4, Encode(subject("Fabrikam", "").ToRDNSequence())))))}}
	}))
	b.make(Directory, DirectoryCA, "leaf", b.leaf("Directory"))
	b.make(SHA1Chain, Issuing, "leaf", b.leaf("SHA-1", func(c *x509.Certificate) { c.SignatureAlgorithm = x509.SHA1WithRSA }))
	b.make(RSA1024, Issuing, "weak", b.leaf("RSA 1024"))
}

func (b *builder) stampers() {
	stamping := criticalUsages(oidTimeStamping)
	b.make(TimeRoot, "", "time", b.ca("Example Time Root"))
	b.make(Stamper, TimeRoot, "leaf", b.leaf("Stamper", stamping, b.long))
	b.make(StamperEC, TimeRoot, "ec", b.leaf("Stamper EC", stamping, b.long))
	b.make(StamperSoft, TimeRoot, "leaf", b.leaf("Stamper soft", usages(x509.ExtKeyUsageTimeStamping), b.long))
	b.make(StamperBoth, TimeRoot, "leaf", b.leaf("Stamper both", criticalUsages(oidTimeStamping, oidCodeSigning), b.long))
	b.make(StamperOld, TimeRoot, "leaf", b.leaf("Stamper old", stamping, b.expired))
	b.make(StamperStray, StrangerRoot, "leaf", b.leaf("Stamper", stamping, b.long))
	b.make(StamperIsCode, TimeRoot, "leaf", b.leaf("Stamper code", b.long))
}

// long lets a time-stamper stamp signatures of certificates that have
// expired since.
func (b *builder) long(c *x509.Certificate) { c.NotBefore = b.now.Add(-8 * year) }

func (b *builder) apple() {
	devCA := marker(oidAppleDevCA, false)
	team := func(c *x509.Certificate) { c.Subject = subject("Example Developer", c.Subject.CommonName, TeamID) }
	b.make(AppleRoot, "", "root", b.ca("Example Apple Root CA"))
	b.make(DeveloperIDCA, AppleRoot, "ec", b.ca("Developer ID Certification Authority", devCA))
	b.make(ApplePlainCA, AppleRoot, "ec", b.ca("Example Apple Plain CA"))
	b.make(AppleWWDR, AppleRoot, "ec", b.ca("Example WWDR CA", marker(oidAppleWWDR, false)))
	devID := marker(oidAppleDevID, true)
	b.make(DeveloperID, DeveloperIDCA, "leaf", b.leaf("Developer ID Application: Example Developer ("+TeamID+")", team, devID))
	b.make(AppleNoLeaf, DeveloperIDCA, "leaf", b.leaf("Developer ID Application: None", team))
	b.make(AppleNoCA, ApplePlainCA, "leaf", b.leaf("Developer ID Application: No CA", team, devID))
	b.make(AppStore, AppleWWDR, "leaf", b.leaf("Apple Mac OS Application Signing", team, marker(oidAppleStore, true)))
	b.make(AppleDev, AppleWWDR, "leaf", b.leaf("Apple Development: Example Developer ("+TeamID+")", team, marker(oidAppleDev, true)))
	b.make(AppleCodeCA, AppleRoot, "ec", b.ca("Apple Code Signing Certification Authority", func(c *x509.Certificate) {
		c.Subject = subject("Apple Inc.", c.Subject.CommonName)
	}))
	b.make(AppleSoftware, AppleCodeCA, "leaf", b.leaf("Software Signing"))
	b.make(AppleExpired, DeveloperIDCA, "leaf", b.leaf("Developer ID Application: Expired", team, devID, b.expired))
}

func (b *builder) lists() []*x509.RevocationList {
	if b.error != nil {
		return nil
	}
	entry := func(name string, reason int) x509.RevocationListEntry {
		return x509.RevocationListEntry{SerialNumber: b.made[name].Certificate.SerialNumber, RevocationTime: b.now.Add(-year), ReasonCode: reason}
	}
	one := func(issuer string, entries ...x509.RevocationListEntry) *x509.RevocationList {
		l, err := List(b.made[issuer], x509.RevocationList{
			Number: big.NewInt(7), ThisUpdate: b.now.Add(-time.Hour), NextUpdate: b.now.Add(30 * 24 * time.Hour), RevokedCertificateEntries: entries,
		})
		if err != nil {
			b.error = fmt.Errorf("list of %s: %w", issuer, err)
		}
		return l
	}
	return []*x509.RevocationList{
		one(Issuing, entry(Revoked, 0), entry(Superseded, reasonSuperseded), entry(Compromised, reasonKeyCompromise)),
		one(Root, entry(RevokedCA, 0)),
		one(TimeRoot),
	}
}

// List makes a revocation list of issuer's.
func List(issuer *Entity, template x509.RevocationList) (*x509.RevocationList, error) {
	der, err := x509.CreateRevocationList(rand.Reader, &template, issuer.Certificate, issuer.Key)
	if err != nil {
		return nil, err
	}
	return x509.ParseRevocationList(der)
}
