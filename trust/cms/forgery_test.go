package cms_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"math/big"
	"testing"

	"kpm/trust/cms"
	"kpm/trust/trusttest"
)

var signed = []byte("what was signed")

// bench is what a forger starts from: a good signature in pieces, and a key of
// their own with a certificate from somewhere.
type bench struct {
	*trusttest.Forgery
	pki    *trusttest.PKI
	signer *trusttest.Entity
}

func start(t testing.TB, signer string) *bench {
	p := trusttest.New(t)
	e := p.Get(signer)
	return &bench{trusttest.Take(trusttest.Sign(trusttest.Message{Signer: e, Content: signed})), p, e}
}

// resign is what a dishonest signer can do, or one who was tricked.
func (b *bench) resign() { b.Resign(b.signer, crypto.SHA256) }

func (b *bench) attribute(oid asn1.ObjectIdentifier) *trusttest.Node {
	return b.Signed().At(b.Find(oid))
}

func oid(id ...int) asn1.ObjectIdentifier { return id }

func node(v any) *trusttest.Node { return trusttest.Tree(trusttest.Encode(v)) }

// algorithmID is an AlgorithmIdentifier; with parameters if there are any.
func algorithmID(id asn1.ObjectIdentifier, parameters ...[]byte) *trusttest.Node {
	n := &trusttest.Node{ID: 0x30, Children: []*trusttest.Node{node(id)}}
	for _, p := range parameters {
		n.Add(trusttest.Tree(p))
	}
	return n
}

const (
	sid = iota + 1
	digestAlgorithm
	signedAttributes
	signatureAlgorithm
)

// forgery is one thing that was done to a good signature.
type forgery struct {
	name   string
	signer string // Good if empty
	change func(b *bench)
	want   error
	// openssl is why openssl cms -verify accepts it, if it does.
	openssl string
}

const (
	lax     = "it decodes what is there and leaves the rest"
	untyped = "it does not compare the content with its signed type"
	ordered = "it digests the attributes as they came, not in DER"
)

var forgeries = []forgery{
	// The content.
	{name: "content changed", change: func(b *bench) { b.Content().At(1, 0).Body[0] ^= 1 }, want: cms.ErrForged},
	{name: "content emptied", change: func(b *bench) { b.Content().At(1, 0).Body = nil }, want: cms.ErrForged},
	{name: "content shortened", change: func(b *bench) { b.Content().At(1, 0).Body = signed[:5] }, want: cms.ErrForged},
	{name: "content extended", change: func(b *bench) { b.Content().At(1, 0).Body = append(bytes.Clone(signed), 0) }, want: cms.ErrForged},
	{name: "content removed", change: func(b *bench) { b.Content().Remove(1) }, want: cms.ErrMalformed},
	{name: "content wrapper emptied", change: func(b *bench) { b.Content().At(1).Remove(0) }, want: cms.ErrMalformed},
	{name: "two contents", change: func(b *bench) { b.Content().At(1).Add(node([]byte("other"))) }, want: cms.ErrMalformed},
	{name: "content of another type (row C)", change: func(b *bench) {
		b.Content().Children[0] = node(oid(1, 3, 6, 1, 4, 1, 311, 2, 1, 4))
	}, want: cms.ErrForged, openssl: untyped},

	// The signed attributes.
	{name: "content type attribute of another type", change: func(b *bench) {
		b.attribute(trusttest.OIDContentType).At(1).Children[0] = node(trusttest.OIDTSTInfo)
		b.resign()
	}, want: cms.ErrForged, openssl: untyped},
	{name: "no content type attribute", change: func(b *bench) { b.Signed().Remove(b.Find(trusttest.OIDContentType)); b.resign() },
		want: cms.ErrMalformed},
	{name: "content type attribute that is no type", change: func(b *bench) {
		b.attribute(trusttest.OIDContentType).At(1).Children[0] = node([]byte("x"))
		b.resign()
	}, want: cms.ErrForged, openssl: untyped},
	{name: "content type attribute twice", change: func(b *bench) {
		b.Signed().Add(b.attribute(trusttest.OIDContentType).Clone())
		b.resign()
	}, want: cms.ErrMalformed},
	{name: "two content types in one attribute", change: func(b *bench) {
		b.attribute(trusttest.OIDContentType).At(1).Add(node(trusttest.OIDTSTInfo))
		b.resign()
	}, want: cms.ErrMalformed},
	{name: "no message digest", change: func(b *bench) { b.Signed().Remove(b.Find(trusttest.OIDMessageDigest)); b.resign() },
		want: cms.ErrMalformed},
	{name: "message digest twice", change: func(b *bench) {
		other := b.attribute(trusttest.OIDMessageDigest).Clone()
		other.At(1, 0).Body[0] ^= 1
		b.Signed().Add(other)
		b.resign()
	}, want: cms.ErrMalformed},
	{name: "two message digests in one attribute", change: func(b *bench) {
		b.attribute(trusttest.OIDMessageDigest).At(1).Add(node(make([]byte, 32)))
		b.resign()
	}, want: cms.ErrMalformed},
	{name: "message digest of other content", change: func(b *bench) {
		b.attribute(trusttest.OIDMessageDigest).At(1, 0).Body[0] ^= 1
		b.resign()
	}, want: cms.ErrForged},
	{name: "message digest cut", change: func(b *bench) {
		d := b.attribute(trusttest.OIDMessageDigest).At(1, 0)
		d.Body = d.Body[:20]
		b.resign()
	}, want: cms.ErrMalformed},
	{name: "message digest empty", change: func(b *bench) {
		b.attribute(trusttest.OIDMessageDigest).At(1, 0).Body = nil
		b.resign()
	}, want: cms.ErrMalformed},
	{name: "message digest of another type", change: func(b *bench) {
		b.attribute(trusttest.OIDMessageDigest).At(1, 0).ID = asn1.TagUTF8String
		b.resign()
	}, want: cms.ErrMalformed},
	{name: "message digest not signed", change: func(b *bench) {
		d := b.attribute(trusttest.OIDMessageDigest)
		b.AddUnsigned(trusttest.OIDMessageDigest, d.At(1, 0).DER())
		b.Signed().Remove(b.Find(trusttest.OIDMessageDigest))
		b.resign()
	}, want: cms.ErrMalformed},
	{name: "attributes stripped", change: func(b *bench) { b.Signer().Remove(signedAttributes) }, want: cms.ErrMalformed},
	{name: "attributes made the content (row D)", change: func(b *bench) {
		set := b.Signed().Clone()
		set.ID = 0x31
		b.Content().At(1, 0).Body = set.DER()
		b.Signer().Remove(signedAttributes)
	}, want: cms.ErrMalformed, openssl: "signed attributes are optional in CMS: this is the attack"},
	{name: "attributes emptied", change: func(b *bench) { b.Signed().Children = nil }, want: cms.ErrMalformed},
	{name: "attributes of another tag", change: func(b *bench) { b.Signed().ID = 0xa1 }, want: cms.ErrMalformed},
	{name: "attribute changed", change: func(b *bench) {
		b.Signed().Add(trusttest.Tree(trusttest.Attribute(oid(1, 2, 3), trusttest.Encode(1))))
	}, want: cms.ErrForged},
	{name: "attribute without value", change: func(b *bench) {
		b.Signed().Add(trusttest.Tree(trusttest.Attribute(oid(1, 2, 3))))
		b.resign()
	}, want: cms.ErrMalformed, openssl: lax},
	{name: "attribute with a third element", change: func(b *bench) { b.Signed().At(0).Add(node(1)); b.resign() }, want: cms.ErrMalformed},
	{name: "unknown attribute twice", change: func(b *bench) {
		for range 2 {
			b.Signed().Add(trusttest.Tree(trusttest.Attribute(oid(1, 2, 3), trusttest.Encode(1))))
		}
		b.resign()
	}, want: cms.ErrMalformed, openssl: "it looks only at the attributes that it knows"},
	{name: "two signing times", change: func(b *bench) {
		time := trusttest.Encode(b.pki.Now)
		b.Signed().Add(trusttest.Tree(trusttest.Attribute(trusttest.OIDSigningTime, time, time)))
		b.resign()
	}, want: cms.ErrMalformed},
	{name: "too many attributes", change: func(b *bench) {
		for i := range 64 {
			b.Signed().Add(trusttest.Tree(trusttest.Attribute(oid(1, 2, 3, i), trusttest.Encode(1))))
		}
		b.resign()
	}, want: cms.ErrMalformed, openssl: "it has no bounds"},
	{name: "too many values", change: func(b *bench) {
		values := make([][]byte, 65)
		for i := range values {
			values[i] = trusttest.Encode(1)
		}
		b.AddUnsigned(oid(1, 2, 3), values...)
	}, want: cms.ErrMalformed, openssl: "it has no bounds"},
	{name: "attributes signed out of order", change: func(b *bench) {
		c := b.Signed().Children
		c[0], c[1] = c[1], c[0]
		set := b.Signed().Clone()
		set.ID = 0x31
		sum := sha256.Sum256(set.DER())
		b.Value().Body, _ = b.signer.Key.Sign(rand.Reader, sum[:], crypto.SHA256)
	}, want: cms.ErrForged, openssl: ordered},

	// The signature value.
	{name: "signature changed", change: func(b *bench) { b.Value().Body[9] ^= 1 }, want: cms.ErrForged},
	{name: "signature cut", change: func(b *bench) { b.Value().Body = b.Value().Body[1:] }, want: cms.ErrForged},
	{name: "signature extended", change: func(b *bench) { b.Value().Body = append(b.Value().Body, 0) }, want: cms.ErrForged},
	{name: "signature led by zero", change: func(b *bench) { b.Value().Body = append([]byte{0}, b.Value().Body...) }, want: cms.ErrForged},
	{name: "signature empty", change: func(b *bench) { b.Value().Body = nil }, want: cms.ErrForged},
	{name: "signature zero", change: func(b *bench) { b.Value().Body = make([]byte, 256) }, want: cms.ErrForged},
	{name: "signature one", change: func(b *bench) { b.Value().Body = append(make([]byte, 255), 1) }, want: cms.ErrForged},
	{name: "signature by another key", change: func(b *bench) { b.Resign(b.pki.Get(trusttest.Issuing), crypto.SHA256) }, want: cms.ErrForged},
	{name: "signature over the content", change: func(b *bench) {
		sum := sha256.Sum256(signed)
		b.Value().Body, _ = b.signer.Key.Sign(rand.Reader, sum[:], crypto.SHA256)
	}, want: cms.ErrForged},
	{name: "signature without DigestInfo", change: func(b *bench) {
		set := b.Signed().Clone()
		set.ID = 0x31
		sum := sha256.Sum256(set.DER())
		b.Value().Body, _ = rsa.SignPKCS1v15(nil, b.signer.Key.(*rsa.PrivateKey), 0, sum[:])
	}, want: cms.ErrForged},
	{name: "elliptic signature of zeros", signer: trusttest.GoodEC, change: func(b *bench) {
		b.Value().Body = trusttest.Encode(struct{ R, S *big.Int }{new(big.Int), new(big.Int)})
	}, want: cms.ErrForged},
	{name: "elliptic signature extended", signer: trusttest.GoodEC, change: func(b *bench) {
		b.Value().Body = append(b.Value().Body, 0)
	}, want: cms.ErrForged},
	{name: "elliptic signature negative", signer: trusttest.GoodEC, change: func(b *bench) {
		b.Value().Body = trusttest.Encode(struct{ R, S *big.Int }{big.NewInt(-1), big.NewInt(-1)})
	}, want: cms.ErrForged},

	// The algorithms.
	{name: "digest algorithm not announced", change: func(b *bench) {
		b.Digests().Children = []*trusttest.Node{trusttest.Tree(trusttest.HashID(crypto.SHA1))}
	}, want: cms.ErrMalformed},
	{name: "no digest algorithm announced", change: func(b *bench) { b.Digests().Children = nil }, want: cms.ErrMalformed},
	{name: "too many digest algorithms", change: func(b *bench) {
		for range 64 {
			b.Digests().Add(trusttest.Tree(trusttest.HashID(crypto.SHA1)))
		}
	}, want: cms.ErrMalformed, openssl: "it has no bounds"},
	{name: "digest algorithm exchanged", change: func(b *bench) {
		b.Digests().Add(trusttest.Tree(trusttest.HashID(crypto.SHA512)))
		b.Signer().Children[digestAlgorithm] = trusttest.Tree(trusttest.HashID(crypto.SHA512))
	}, want: cms.ErrMalformed},
	{name: "digest algorithm with parameters", change: func(b *bench) {
		b.Signer().Children[digestAlgorithm] = algorithmID(oid(2, 16, 840, 1, 101, 3, 4, 2, 1), trusttest.Encode(7))
	}, want: cms.ErrMalformed, openssl: lax},
	{name: "digest algorithm unknown", change: func(b *bench) {
		b.Digests().Add(algorithmID(oid(1, 2, 3)))
		b.Signer().Children[digestAlgorithm] = algorithmID(oid(1, 2, 3))
	}, want: cms.ErrUnsupported},
	{name: "signature algorithm of another hash", change: func(b *bench) {
		b.Signer().Children[signatureAlgorithm] = algorithmID(oid(1, 2, 840, 113549, 1, 1, 13), asn1.NullBytes)
	}, want: cms.ErrMalformed, openssl: "it goes by the digest algorithm"},
	{name: "signature algorithm of another key", change: func(b *bench) {
		b.Signer().Children[signatureAlgorithm] = algorithmID(oid(1, 2, 840, 10045, 4, 3, 2))
	}, want: cms.ErrForged},
	{name: "RSA named for an elliptic key", signer: trusttest.GoodEC, change: func(b *bench) {
		b.Signer().Children[signatureAlgorithm] = algorithmID(oid(1, 2, 840, 113549, 1, 1, 1), asn1.NullBytes)
	}, want: cms.ErrForged, openssl: "it goes by the key"},
	{name: "signature algorithm with parameters", change: func(b *bench) {
		b.Signer().Children[signatureAlgorithm] = algorithmID(oid(1, 2, 840, 113549, 1, 1, 11), trusttest.Encode(7))
	}, want: cms.ErrMalformed, openssl: lax},
	{name: "PSS without parameters", change: func(b *bench) {
		b.Signer().Children[signatureAlgorithm] = algorithmID(oid(1, 2, 840, 113549, 1, 1, 10))
	}, want: cms.ErrMalformed},
	{name: "PSS with parameters that are none", change: pss(trusttest.Encode(7)), want: cms.ErrMalformed},
	{name: "PSS with SHA-1, its default", change: pss(trusttest.Sequence()), want: cms.ErrMalformed},
	{name: "PSS with another digest", change: pss(pssParameters(crypto.SHA512, crypto.SHA256, 32, 1)), want: cms.ErrMalformed},
	{name: "PSS with another digest in the mask", change: pss(pssParameters(crypto.SHA256, crypto.SHA512, 32, 1)), want: cms.ErrMalformed},
	{name: "PSS with little salt", change: pss(pssParameters(crypto.SHA256, crypto.SHA256, 20, 1)), want: cms.ErrMalformed},
	{name: "PSS with no salt", change: pss(pssParameters(crypto.SHA256, crypto.SHA256, 0, 1)), want: cms.ErrMalformed},
	{name: "PSS with negative salt", change: pss(pssParameters(crypto.SHA256, crypto.SHA256, -1, 1)), want: cms.ErrMalformed},
	{name: "PSS with salt beyond any key", change: pss(pssParameters(crypto.SHA256, crypto.SHA256, 1<<30, 1)), want: cms.ErrMalformed},
	{name: "PSS with another trailer", change: pss(pssParameters(crypto.SHA256, crypto.SHA256, 32, 2)), want: cms.ErrMalformed},
	{name: "PSS with a mask that is not MGF1", change: pss(trusttest.Sequence(
		explicit(0, trusttest.HashID(crypto.SHA256)), explicit(1, trusttest.Sequence(trusttest.Encode(oid(1, 2, 3)))), explicit(2, trusttest.Encode(32)),
	)), want: cms.ErrMalformed},
	{name: "PSS with an unknown digest", change: pss(trusttest.Sequence(
		explicit(0, trusttest.Sequence(trusttest.Encode(oid(1, 2, 3)))),
	)), want: cms.ErrUnsupported},
	{name: "PSS named for another padding", change: pss(pssParameters(crypto.SHA256, crypto.SHA256, 32, 1)), want: cms.ErrForged},
	{name: "PSS named for an elliptic key", signer: trusttest.GoodEC, change: pss(pssParameters(crypto.SHA256, crypto.SHA256, 32, 1)),
		want: cms.ErrForged, openssl: "it goes by the key"},
	{name: "DSA", change: func(b *bench) {
		b.Signer().Children[signatureAlgorithm] = algorithmID(oid(1, 2, 840, 10040, 4, 3))
	}, want: cms.ErrUnsupported},
	{name: "signature algorithm unknown", change: func(b *bench) {
		b.Signer().Children[signatureAlgorithm] = algorithmID(oid(1, 2, 3))
	}, want: cms.ErrUnsupported},

	// The signer and the certificates.
	{name: "no signer", change: func(b *bench) { b.Signers().Children = nil }, want: cms.ErrMalformed},
	{name: "two signers", change: func(b *bench) { b.Signers().Add(b.Signer().Clone()) }, want: cms.ErrMalformed, openssl: "any number may sign"},
	{name: "serial number of another", change: func(b *bench) { b.Signer().At(sid).Children[1] = node(99) }, want: cms.ErrMalformed},
	{name: "issuer of another", change: func(b *bench) {
		b.Signer().At(sid).Children[0] = trusttest.Tree(b.pki.Get(trusttest.Root).Certificate.RawSubject)
	}, want: cms.ErrMalformed},
	{name: "certificate left out", change: func(b *bench) { b.Certificates().Remove(0) }, want: cms.ErrMalformed},
	{name: "no certificates", change: func(b *bench) { b.Data().Remove(3) }, want: cms.ErrMalformed},
	{name: "certificate of another with the same name and number", change: func(b *bench) {
		b.Certificates().Children[0] = b.twin()
	}, want: cms.ErrForged},
	{name: "two certificates with the same name and number", change: func(b *bench) { b.Certificates().Add(b.twin()) },
		want: cms.ErrMalformed, openssl: "it takes the first"},
	{name: "two certificates with the same key identifier", change: func(b *bench) {
		e := b.pki.Get(trusttest.Expired)
		b.Signer().Children[sid] = &trusttest.Node{ID: 0x80, Body: e.Certificate.SubjectKeyId}
		b.Certificates().Add(trusttest.Tree(e.Certificate.Raw))
	}, want: cms.ErrMalformed, openssl: "it takes the first"},
	{name: "key identifier of nobody", change: func(b *bench) {
		b.Signer().Children[sid] = &trusttest.Node{ID: 0x80, Body: []byte{1, 2, 3}}
	}, want: cms.ErrMalformed},
	{name: "key identifier empty", change: func(b *bench) { b.Signer().Children[sid] = &trusttest.Node{ID: 0x80} }, want: cms.ErrMalformed},
	{name: "a choice of certificate that there is not", change: func(b *bench) {
		b.Certificates().Add(&trusttest.Node{ID: 0xa4, Children: []*trusttest.Node{node(1)}})
	}, want: cms.ErrMalformed},
	{name: "too many attribute certificates", change: func(b *bench) {
		for range 64 {
			b.Certificates().Add(&trusttest.Node{ID: 0xa1, Children: []*trusttest.Node{node(1)}})
		}
	}, want: cms.ErrMalformed, openssl: "it has no bounds"},
	{name: "certificate that is none", change: func(b *bench) { b.Certificates().Add(node([]int{1})) }, want: cms.ErrMalformed},
	{name: "too many certificates", change: func(b *bench) {
		for range 64 {
			b.Certificates().Add(b.Certificates().At(0).Clone())
		}
	}, want: cms.ErrMalformed, openssl: "it has no bounds"},
	{name: "certificate of 100 KiB", change: func(b *bench) {
		b.Certificates().Add(b.certify(b.signer.Key.Public(), pkix.Extension{Id: oid(1, 2, 3), Value: make([]byte, 100<<10)}))
	}, want: cms.ErrMalformed, openssl: "it has no bounds"},
	{name: "a hundred thousand elements", change: func(b *bench) {
		b.AddUnsigned(oid(1, 2, 3), trusttest.Sequence(bytes.Repeat(asn1.NullBytes, 100_000)))
	}, want: cms.ErrMalformed, openssl: "it has no bounds"},
	{name: "certificate with a key of 9000 bits", change: func(b *bench) { b.Certificates().Add(b.keyOf(9000)) },
		want: cms.ErrMalformed, openssl: "it has no bounds"},
	{name: "signer with a key of 512 bits", change: func(b *bench) { b.Certificates().Children[0] = b.keyOf(512) },
		want: cms.ErrUnsupported},
	{name: "signer with a key on P-224", change: func(b *bench) {
		key, _ := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
		b.Certificates().Children[0] = b.certify(key.Public())
	}, want: cms.ErrUnsupported},
	{name: "signer with an Edwards key", change: func(b *bench) {
		b.Certificates().Children[0] = b.certify(ed25519.PublicKey(make([]byte, 32)))
	}, want: cms.ErrUnsupported},

	// The structure.
	{name: "not SignedData", change: func(b *bench) { b.Root.Children[0] = node(trusttest.OIDData) }, want: cms.ErrMalformed},
	{name: "version beyond all", change: func(b *bench) { b.Data().Children[0] = node(9) }, want: cms.ErrMalformed, openssl: lax},
	{name: "signer's version beyond all", change: func(b *bench) { b.Signer().Children[0] = node(300) }, want: cms.ErrMalformed, openssl: lax},
	{name: "element after ContentInfo's", change: func(b *bench) { b.Root.Add(node(1)) }, want: cms.ErrMalformed},
	{name: "element beside SignedData", change: func(b *bench) { b.Root.At(1).Add(node(1)) }, want: cms.ErrMalformed},
	{name: "element after the signers", change: func(b *bench) { b.Data().Add(node(1)) }, want: cms.ErrMalformed},
	{name: "element after the signer's", change: func(b *bench) { b.Signer().Add(node(1)) }, want: cms.ErrMalformed},
	{name: "elements exchanged", change: func(b *bench) {
		c := b.Data().Children
		c[1], c[2] = c[2], c[1]
	}, want: cms.ErrMalformed},
	{name: "unsigned attributes empty", change: func(b *bench) { b.Signer().Add(&trusttest.Node{ID: 0xa1}) }, want: cms.ErrMalformed, openssl: lax},
	{name: "unsigned attributes twice", change: func(b *bench) {
		b.AddUnsigned(oid(1, 2, 3), trusttest.Encode(1))
		b.Signer().Add(b.Signer().At(-1).Clone())
	}, want: cms.ErrMalformed},
}

// twin is a certificate of somebody else's key with the signer's issuer and
// serial number.
func (b *bench) twin() *trusttest.Node {
	template := *b.signer.Certificate
	template.RawSubject = nil
	evil, err := trusttest.Issue("evil", x509.Certificate{RawSubject: b.signer.Certificate.RawIssuer, SerialNumber: big.NewInt(1),
		IsCA: true, BasicConstraintsValid: true, NotBefore: template.NotBefore, NotAfter: template.NotAfter}, b.pki.Get(trusttest.StrangerRoot).Key, nil)
	if err != nil {
		panic(err)
	}
	e, err := trusttest.Issue("twin", x509.Certificate{Subject: template.Subject, SerialNumber: template.SerialNumber,
		NotBefore: template.NotBefore, NotAfter: template.NotAfter}, b.pki.Get(trusttest.Stranger).Key, evil)
	if err != nil {
		panic(err)
	}
	return trusttest.Tree(e.Certificate.Raw)
}

// keyOf is a certificate with the signer's name and number for an RSA key of so
// many bits, of which nobody knows the factors.
func (b *bench) keyOf(bits int) *trusttest.Node {
	n := new(big.Int).Lsh(big.NewInt(1), uint(bits-1))
	n.SetBit(n, 0, 1)
	return b.certify(&rsa.PublicKey{N: n, E: 65537})
}

// certify is a certificate for that key with the signer's name and number.
func (b *bench) certify(key crypto.PublicKey, extensions ...pkix.Extension) *trusttest.Node {
	template := x509.Certificate{Subject: b.signer.Certificate.Subject, SerialNumber: b.signer.Certificate.SerialNumber,
		NotBefore: b.signer.Certificate.NotBefore, NotAfter: b.signer.Certificate.NotAfter, ExtraExtensions: extensions}
	issuer := b.signer.Issuer
	der, err := x509.CreateCertificate(rand.Reader, &template, issuer.Certificate, key, issuer.Key)
	if err != nil {
		panic(err)
	}
	return trusttest.Tree(der)
}

// pss names RSASSA-PSS with these parameters as the algorithm.
func pss(parameters []byte) func(*bench) {
	return func(b *bench) {
		b.Signer().Children[signatureAlgorithm] = algorithmID(oid(1, 2, 840, 113549, 1, 1, 10), parameters)
	}
}

func pssParameters(hash, mask crypto.Hash, salt, trailer int) []byte {
	mgf1 := trusttest.Sequence(trusttest.Encode(oid(1, 2, 840, 113549, 1, 1, 8)), trusttest.HashID(mask))
	return trusttest.Sequence(explicit(0, trusttest.HashID(hash)), explicit(1, mgf1), explicit(2, trusttest.Encode(salt)), explicit(3, trusttest.Encode(trailer)))
}

func explicit(tag byte, inner []byte) []byte {
	return (&trusttest.Node{ID: 0xa0 | tag, Children: []*trusttest.Node{trusttest.Tree(inner)}}).DER()
}

// verify is what every caller does.
func verify(der []byte) (*cms.Signer, error) {
	d, err := cms.Parse(der)
	if err != nil {
		return nil, err
	}
	return d.Verify(nil)
}

func TestForgeriesAreRefused(t *testing.T) {
	if _, err := verify(start(t, trusttest.Good).DER()); err != nil {
		t.Fatalf("what the forgers start from: %v", err)
	}
	for _, f := range forgeries {
		t.Run(f.name, func(t *testing.T) {
			if _, err := verify(f.make(t)); !errors.Is(err, f.want) {
				t.Errorf("got %v, want %v", err, f.want)
			}
		})
	}
}

func (f forgery) make(t testing.TB) []byte {
	signer := f.signer
	if signer == "" {
		signer = trusttest.Good
	}
	b := start(t, signer)
	f.change(b)
	return b.DER()
}
