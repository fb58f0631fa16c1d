package trusttest

import (
	"crypto"
	"encoding/asn1"
	"math/big"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

var (
	oidSigningCertificate   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 2, 12}
	oidSigningCertificateV2 = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 2, 47}
	oidPolicy               = asn1.ObjectIdentifier{1, 2, 3, 4, 1}
)

// Token is an RFC 3161 time-stamp token to be made.
type Token struct {
	Stamper *Entity
	Over    []byte // the signature value that it stamps
	At      time.Time
	Hash    crypto.Hash // of imprint and signature; SHA-256 if 0
	Names   *Entity     // whose certificate it names as its own; Stamper if nil
	Old     bool        // it names it by SHA-1, as before RFC 5816
	Nobody  bool        // it names none
	Name    []byte      // the value of the attribute that names it; made from the fields if nil
	Info    []byte      // the TSTInfo; made from the fields if nil
	Type    asn1.ObjectIdentifier
}

// DER makes the token.
func (k Token) DER() []byte {
	if k.Hash == 0 {
		k.Hash = crypto.SHA256
	}
	if k.Names == nil {
		k.Names = k.Stamper
	}
	if k.Type == nil {
		k.Type = OIDTSTInfo
	}
	if k.Info == nil {
		k.Info = TSTInfo(HashID(k.Hash), sum(k.Hash, k.Over), GeneralizedTime(k.At))
	}
	var attributes [][]byte
	id, hash := oidSigningCertificateV2, crypto.SHA256
	if k.Old {
		id, hash = oidSigningCertificate, crypto.SHA1
	}
	if k.Name == nil {
		k.Name = Sequence(Sequence(Sequence(Encode(sum(hash, k.Names.Certificate.Raw)))))
	}
	if !k.Nobody {
		attributes = [][]byte{Attribute(id, k.Name)}
	}
	return Sign(Message{Signer: k.Stamper, Type: k.Type, Content: k.Info, Hash: k.Hash, Attributes: attributes})
}

// TSTInfo encodes one; more follows the time.
func TSTInfo(algorithm, digest, at []byte, more ...[]byte) []byte {
	parts := [][]byte{Encode(1), Encode(oidPolicy), of(0x30, algorithm, Encode(digest)), Encode(big.NewInt(42)), at}
	return of(0x30, append(parts, more...)...)
}

// GeneralizedTime encodes a time in whole seconds.
func GeneralizedTime(at time.Time) []byte {
	text := at.UTC().Format("20060102150405Z")
	return append(header(asn1.TagGeneralizedTime, len(text)), text...)
}

// Countersignature makes a PKCS #9 countersignature over a signature value, a
// time-stamp from before RFC 3161. Its certificate travels with the signature.
func Countersignature(stamper *Entity, over []byte, at time.Time, hash crypto.Hash, more ...[]byte) []byte {
	attributes := append([][]byte{Attribute(OIDSigningTime, Encode(at.UTC()))}, more...)
	return signerInfo(stamper, hash, over, attributes, false)
}

// Stamp returns a signature (CMS, DER) with a good time-stamp of that time in
// it, where Authenticode has it.
func (p *PKI) Stamp(der []byte, stamper string, at time.Time) []byte {
	f := Take(der)
	f.AddUnsigned(OIDMicrosoftToken, Token{Stamper: p.Get(stamper), Over: f.Value().Body, At: at}.DER())
	return f.DER()
}

// StampArgs are the arguments that make osslsigncode sign time-stamp with that
// time, without a network.
func (p *PKI) StampArgs(t testing.TB, stamper string, at time.Time) []string {
	t.Helper()
	f := p.Get(stamper).Files(t)
	return []string{"-TSA-certs", f.Chain, "-TSA-key", f.Key, "-TSA-time", strconv.FormatInt(at.Unix(), 10)}
}

// StampConfig writes a configuration for openssl ts with which stamper answers
// requests, as of the machine's clock.
func (p *PKI) StampConfig(t testing.TB, stamper string) string {
	t.Helper()
	f, dir := p.Get(stamper).Files(t), t.TempDir()
	serial := filepath.Join(dir, "serial")
	write(t, serial, []byte("01\n"))
	path := filepath.Join(dir, "ts.cnf")
	if err := os.WriteFile(path, []byte(`[tsa]
default_tsa = it
[it]
serial = `+serial+`
signer_cert = `+f.Cert+`
certs = `+f.Root+`
signer_key = `+f.Key+`
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha1, sha256, sha384, sha512
accuracy = secs:1
ess_cert_id_chain = no
ess_cert_id_alg = sha256
`), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
