// Package trusttest makes what tests of signatures need: certificate
// authorities, code signers and time-stampers good and bad, revocation lists,
// the files that foreign tools want, and anchors for all of them. It is test
// support: no product code imports it, and its keys live as long as the test
// process.
package trusttest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Names of the entities of a PKI.
const (
	Root      = "root"       // RSA-2048, in CodeRoots
	Issuing   = "issuing"    // RSA-2048, below Root
	ECRoot    = "ec-root"    // P-256, in CodeRoots
	ECIssuing = "ec-issuing" // P-256, below ECRoot

	Good   = "good"    // RSA-2048 code signer below Issuing, valid from 2 years ago to in 1 year
	GoodEC = "good-ec" // the same, P-256 below ECIssuing

	Expired       = "expired"        // valid from 3 years to 1 year ago
	NotYet        = "not-yet"        // valid from tomorrow
	ServerAuth    = "server-auth"    // may be a TLS server, and nothing else
	NoEKU         = "no-eku"         // without extended key usage
	AnyEKU        = "any-eku"        // anyExtendedKeyUsage only
	NoSigning     = "no-signing"     // key usage lacks digitalSignature
	Lifetime      = "lifetime"       // lifetime signing: no time-stamp outlasts it; expired like Expired
	Revoked       = "revoked"        // on the list since 1 year ago, no reason given
	Superseded    = "superseded"     // on the list since 1 year ago, superseded
	Compromised   = "compromised"    // on the list since 1 year ago, key compromise
	CASigner      = "ca-signer"      // a CA that signs code itself
	BelowRevoked  = "below-revoked"  // below RevokedCA
	RevokedCA     = "revoked-ca"     // below Root, on Root's list
	BelowServerCA = "below-server"   // code signer below a CA for TLS servers
	ServerCA      = "server-ca"      // below Root, extended key usage serverAuth
	TooLong       = "too-long"       // below a CA that Issuing (path length 0) may not have
	TooLongCA     = "too-long-ca"    // below Issuing
	BelowLeaf     = "below-leaf"     // issued by Good, which is no CA
	Constrained   = "constrained"    // e-mail address outside what its CA may name
	ConstrainedCA = "constrained-ca" // below Root, may name example.com only
	Directory     = "directory"      // below DirectoryCA
	DirectoryCA   = "directory-ca"   // below Root, with a directory name constraint that is not critical
	SHA1Chain     = "sha1-chain"     // its certificate is signed with SHA-1
	RSA1024       = "rsa-1024"       // RSA key of 1024 bits

	Stranger     = "stranger"      // P-256 code signer below a root that nobody configured
	StrangerRoot = "stranger-root" // P-256
	SelfSigned   = "self-signed"   // code signer below nothing

	TimeRoot      = "time-root"       // RSA-2048, in TimeRoots
	Stamper       = "stamper"         // RSA-2048, critical sole timeStamping
	StamperEC     = "stamper-ec"      // P-256
	StamperSoft   = "stamper-soft"    // timeStamping not critical
	StamperBoth   = "stamper-both"    // timeStamping and codeSigning
	StamperOld    = "stamper-old"     // expired like Expired
	StamperStray  = "stamper-stray"   // good, but below StrangerRoot
	StamperIsCode = "stamper-is-code" // codeSigning only, below TimeRoot

	AppleRoot     = "apple-root"     // RSA-2048, in AppleRoots
	DeveloperIDCA = "developer-ca"   // carries 1.2.840.113635.100.6.2.6
	DeveloperID   = "developer-id"   // carries 1.2.840.113635.100.6.1.13, team id TeamID
	AppleNoLeaf   = "apple-no-leaf"  // below DeveloperIDCA without the leaf's extension
	AppleNoCA     = "apple-no-ca"    // the leaf's extension below ApplePlainCA
	ApplePlainCA  = "apple-plain-ca" // below AppleRoot without the extension
	AppStore      = "app-store"      // carries 1.2.840.113635.100.6.1.9, below AppleWWDR
	AppleDev      = "apple-dev"      // carries 1.2.840.113635.100.6.1.12 (development), below AppleWWDR
	AppleCodeCA   = "apple-code-ca"  // the CA of Apple's own programs, below AppleRoot
	AppleSoftware = "apple-software" // below AppleCodeCA
	AppleWWDR     = "apple-wwdr"     // carries 1.2.840.113635.100.6.2.1
	AppleExpired  = "apple-expired"  // DeveloperID that has expired like Expired
)

// TeamID is the organizational unit of the Apple-like leaves.
const TeamID = "A1B2C3D4E5"

// Organization is that of Good, and of Stranger too: a name is nothing.
const Organization = "Contoso Software"

// Entity is a certificate with its key.
type Entity struct {
	Name        string
	Certificate *x509.Certificate
	Key         crypto.Signer
	Issuer      *Entity // nil if self-signed
}

// Chain is the entity's certificate and those above it, without the root
// unless the entity is one.
func (e *Entity) Chain() []*x509.Certificate {
	chain := []*x509.Certificate{e.Certificate}
	for up := e.Issuer; up != nil && up.Issuer != nil; up = up.Issuer {
		chain = append(chain, up.Certificate)
	}
	return chain
}

// PKI is the hierarchy of one test process.
type PKI struct {
	// Now is when it was made, in whole seconds of UTC. Anchors have no clock
	// of their own, so tests and foreign tools agree about the time.
	Now      time.Time
	entities map[string]*Entity
	lists    []*x509.RevocationList
}

// New returns the hierarchy. All tests of a process share it.
func New(t testing.TB) *PKI {
	t.Helper()
	p, err := shared()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

var shared = sync.OnceValues(build)

// Get returns an entity by name.
func (p *PKI) Get(name string) *Entity {
	e := p.entities[name]
	if e == nil {
		panic("trusttest: no entity " + name)
	}
	return e
}

// Names lists every entity, sorted by nothing.
func (p *PKI) Names() []string {
	names := make([]string, 0, len(p.entities))
	for name := range p.entities {
		names = append(names, name)
	}
	return names
}

// Lists are the revocation lists, of Root, Issuing and TimeRoot.
func (p *PKI) Lists() []*x509.RevocationList { return p.lists }

// Files are an entity's files for foreign tools.
type Files struct {
	Cert  string // PEM, the entity's certificate
	DER   string // the same in DER
	Key   string // PEM, PKCS #8, unencrypted
	Chain string // PEM, Chain: what goes into a signature
	Root  string // PEM, the self-signed certificate that the chain ends at
}

// Files writes the entity's files into a directory of the test's own.
func (e *Entity) Files(t testing.TB) Files {
	t.Helper()
	dir := t.TempDir()
	f := Files{
		Cert: filepath.Join(dir, e.Name+".pem"), DER: filepath.Join(dir, e.Name+".der"),
		Key: filepath.Join(dir, e.Name+".key"), Chain: filepath.Join(dir, e.Name+"-chain.pem"),
		Root: filepath.Join(dir, e.Name+"-root.pem"),
	}
	key, err := x509.MarshalPKCS8PrivateKey(e.Key)
	if err != nil {
		t.Fatal(err)
	}
	root := e
	for root.Issuer != nil {
		root = root.Issuer
	}
	write(t, f.Cert, PEM(e.Certificate))
	write(t, f.DER, e.Certificate.Raw)
	write(t, f.Key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}))
	write(t, f.Chain, PEM(e.Chain()...))
	write(t, f.Root, PEM(root.Certificate))
	return f
}

// RevocationFile writes the revocation lists as PEM and returns the path.
func (p *PKI) RevocationFile(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "lists.pem")
	var out []byte
	for _, l := range p.lists {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: l.Raw})...)
	}
	write(t, path, out)
	return path
}

// PEM encodes certificates.
func PEM(certificates ...*x509.Certificate) []byte {
	var out []byte
	for _, c := range certificates {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	return out
}

func write(t testing.TB, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// serials numbers certificates; the hierarchy is made once per process.
var serials atomic.Int64

// Issue makes a certificate for key from template, signed by issuer, or by
// itself if issuer is nil. Serial number and key identifiers are filled in
// where the template leaves them out.
func Issue(name string, template x509.Certificate, key crypto.Signer, issuer *Entity) (*Entity, error) {
	if template.SerialNumber == nil {
		template.SerialNumber = big.NewInt(0x10000000 + serials.Add(1))
	}
	if template.SubjectKeyId == nil {
		id, err := keyID(key)
		if err != nil {
			return nil, err
		}
		template.SubjectKeyId = id
	}
	parent, signer := &template, key
	if issuer != nil {
		parent, signer = issuer.Certificate, issuer.Key
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, parent, key.Public(), signer)
	if err != nil {
		return nil, err
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	return &Entity{Name: name, Certificate: c, Key: key, Issuer: issuer}, nil
}

func keyID(key crypto.Signer) ([]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(der)
	return sum[:20], nil
}

func newRSA(bits int) func() (crypto.Signer, error) {
	return sync.OnceValues(func() (crypto.Signer, error) { return rsa.GenerateKey(rand.Reader, bits) })
}

func newEC() (crypto.Signer, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) }

func subject(organization, common string, units ...string) pkix.Name {
	return pkix.Name{Country: []string{"DE"}, Organization: []string{organization}, OrganizationalUnit: units, CommonName: common}
}

// null is the value of Apple's marker extensions.
var null = asn1.NullBytes
