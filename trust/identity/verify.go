package identity

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"encoding/asn1"
	"fmt"
	"slices"
	"time"

	"kpm/trust/tpm"
)

// VerifyOptions say whom a verifier trusts.
type VerifyOptions struct {
	// Roots and Intermediates are CAs of makers of TPMs. Without Roots the
	// endorsement certificate is only looked at, and not believed.
	Roots, Intermediates *x509.CertPool
	// Now is when the certificate has to be valid; zero is the present.
	Now time.Time
}

// Verified is what an Attestation proves.
type Verified struct {
	// Key is the machine key. It was made in the same TPM as the attestation
	// key, and cannot leave it.
	Key   *ecdsa.PublicKey
	KeyID string
	// Registers are the PCRs.
	Registers tpm.PCRs
	// EndorsementCertificate is nil if there is none. Genuine says that it leads
	// to one of the roots: the TPM that has the endorsement key is one that its
	// maker made. That the attestation key is in that TPM only an answered
	// Challenge proves.
	EndorsementCertificate *x509.Certificate
	Genuine                bool

	attestationKey, endorsementKey []byte
}

// VerifyAttestation checks an Attestation in JSON for the nonce that was asked
// with. It is what a registration server does, and it trusts nothing in the
// document that it has not verified. The error wraps ErrAttestation.
func VerifyAttestation(document, nonce []byte, o VerifyOptions) (*Verified, error) {
	v, err := verifyAttestation(document, nonce, o)
	if err != nil {
		return nil, fmt.Errorf("identity: %w: %w", ErrAttestation, err)
	}
	return v, nil
}

func verifyAttestation(document, nonce []byte, o VerifyOptions) (*Verified, error) {
	if len(document) > maxAttestation {
		return nil, fmt.Errorf("%d bytes, expected at most %d", len(document), maxAttestation)
	}
	var a Attestation
	if err := decode(document, &a); err != nil {
		return nil, err
	}
	if a.Version != attestationVersion {
		return nil, fmt.Errorf("version %d, expected %d", a.Version, attestationVersion)
	}
	// Attack: an old attestation is sent again.
	if subtle.ConstantTimeCompare(a.Nonce, nonce) != 1 {
		return nil, fmt.Errorf("it is for another nonce")
	}
	registers := tpm.PCRs{}
	for index, value := range a.Registers {
		if len(value) != sha256.Size {
			return nil, fmt.Errorf("register %d has %d bytes, expected %d", index, len(value), sha256.Size)
		}
		registers[index] = [sha256.Size]byte(value)
	}
	if err := tpm.VerifyQuote(a.AttestationKey, a.Quote, nonce, registers); err != nil {
		return nil, err
	}
	// Attack: a key in a file, presented with somebody's genuine quote.
	if err := tpm.VerifyCertify(a.AttestationKey, a.Certification, nonce, a.MachineKey); err != nil {
		return nil, err
	}
	key, err := tpm.PublicKey(a.MachineKey)
	if err != nil {
		return nil, err
	}
	id, err := KeyID(key)
	if err != nil {
		return nil, err
	}
	v := &Verified{Key: key, KeyID: id, Registers: registers, attestationKey: a.AttestationKey, endorsementKey: a.EndorsementKey}
	return v, v.endorse(a.EndorsementCertificate, o)
}

// endorse checks the endorsement key and its certificate.
func (v *Verified) endorse(der []byte, o VerifyOptions) error {
	if err := tpm.IsEndorsement(v.endorsementKey); err != nil {
		return err
	}
	if der == nil {
		if o.Roots != nil {
			return fmt.Errorf("the TPM has no endorsement certificate")
		}
		return nil
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return fmt.Errorf("endorsement certificate: %w", err)
	}
	spki, err := tpm.SubjectPublicKeyInfo(v.endorsementKey)
	if err != nil {
		return err
	}
	if !bytes.Equal(spki, certificate.RawSubjectPublicKeyInfo) {
		return fmt.Errorf("the endorsement certificate is for another key")
	}
	v.EndorsementCertificate = certificate
	if o.Roots == nil {
		return nil
	}
	// The subject alternative name is critical and names the TPM's model, in a
	// form that crypto/x509 does not know (EK profile, 3.2.9). It decides nothing.
	certificate.UnhandledCriticalExtensions = slices.DeleteFunc(certificate.UnhandledCriticalExtensions, asn1.ObjectIdentifier{2, 5, 29, 17}.Equal)
	_, err = certificate.Verify(x509.VerifyOptions{
		Roots: o.Roots, Intermediates: o.Intermediates, CurrentTime: o.Now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	})
	if err != nil {
		return fmt.Errorf("endorsement certificate: %w", err)
	}
	v.Genuine = true
	return nil
}

// Challenge makes a challenge, JSON for Activate, that only the TPM with the
// endorsement key answers, and only if it has the attestation key as well. The
// answer is secret, at most 32 bytes, random and for one use.
func (v *Verified) Challenge(secret []byte) (tpm.Challenge, error) {
	return tpm.NewChallenge(v.endorsementKey, v.attestationKey, secret)
}
