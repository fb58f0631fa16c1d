package tpm

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/google/go-tpm/tpm2"
)

// ErrStatement means that what is presented as a TPM's statement is none, or
// says something else, or is not by the key that it should be by.
var ErrStatement = errors.New("not what a TPM has said")

const maxStatement = 1024 // bytes of a TPMS_ATTEST or TPMT_SIGNATURE that we ask for

// VerifyQuote checks that a TPM has said, for nonce and with the attestation key
// ak, a public area, that its registers are pcrs. It needs no TPM.
//
// That ak is in a TPM it does not prove: a certificate of the attestation key,
// or Challenge, does.
func VerifyQuote(ak []byte, s Statement, nonce []byte, pcrs PCRs) error {
	said, err := verify(ak, s, nonce, tpm2.TPMSTAttestQuote)
	if err != nil {
		return err
	}
	return quotes(said, slices.Sorted(maps.Keys(pcrs)), pcrs)
}

// quotes reports nil if said is about exactly these registers with these values.
func quotes(said *tpm2.TPMSAttest, registers []uint, pcrs PCRs) (err error) {
	defer guard(&err)
	quote, err := said.Attested.Quote()
	if err != nil {
		return fmt.Errorf("tpm: verify quote: %w: %w", ErrStatement, err)
	}
	selected, err := selection(registers)
	if err != nil {
		return err
	}
	if !bytes.Equal(tpm2.Marshal(quote.PCRSelect), tpm2.Marshal(selected)) {
		return fmt.Errorf("tpm: verify quote: it is about other registers than %v: %w", registers, ErrStatement)
	}
	digest := pcrs.Digest()
	if !bytes.Equal(quote.PCRDigest.Buffer, digest[:]) {
		return fmt.Errorf("tpm: verify quote: the registers have other values: %w", ErrStatement)
	}
	return nil
}

// VerifyCertify checks that a TPM has said, for nonce and with the attestation
// key ak, that it holds key; both are public areas. It also checks that key is
// one that no TPM gives away.
func VerifyCertify(ak []byte, s Statement, nonce, key []byte) (err error) {
	defer guard(&err)
	a, err := parseArea(key)
	if err == nil {
		err = a.like(signingTemplate(false))
	}
	if err != nil {
		return fmt.Errorf("tpm: verify certified key: %w: %w", ErrStatement, err)
	}
	said, err := verify(ak, s, nonce, tpm2.TPMSTAttestCertify)
	if err != nil {
		return err
	}
	certified, err := said.Attested.Certify()
	if err != nil {
		return fmt.Errorf("tpm: verify certified key: %w: %w", ErrStatement, err)
	}
	if !bytes.Equal(certified.Name.Buffer, a.name.Buffer) {
		return fmt.Errorf("tpm: verify certified key: another key was certified: %w", ErrStatement)
	}
	return nil
}

// verify checks who made a statement, when, and of what type it is.
func verify(ak []byte, s Statement, nonce []byte, kind tpm2.TPMST) (said *tpm2.TPMSAttest, err error) {
	defer guard(&err)
	if err := checkNonce(nonce); err != nil {
		return nil, err
	}
	refuse := func(why string, err error) (*tpm2.TPMSAttest, error) {
		if err != nil {
			return nil, fmt.Errorf("tpm: verify: %s: %w: %w", why, ErrStatement, err)
		}
		return nil, fmt.Errorf("tpm: verify: %s: %w", why, ErrStatement)
	}
	// Attack: a key without "restricted" signs anything, also a forged quote.
	a, err := parseArea(ak)
	if err == nil {
		err = a.like(signingTemplate(true))
	}
	if err != nil {
		return refuse("the attestation key is no restricted signing key", err)
	}
	key, err := a.ecdsaKey()
	if err != nil {
		return refuse("the attestation key", err)
	}
	if len(s.Said) > maxStatement || len(s.Signature) > maxStatement {
		return refuse(fmt.Sprintf("a statement of %d and %d bytes", len(s.Said), len(s.Signature)), nil)
	}
	signature, err := tpm2.Unmarshal[tpm2.TPMTSignature](s.Signature)
	if err != nil || !bytes.Equal(tpm2.Marshal(*signature), s.Signature) {
		return refuse("the signature cannot be read", err)
	}
	der, err := ecdsaSignature(*signature)
	if err != nil {
		return refuse("the signature", err)
	}
	digest := sha256.Sum256(s.Said)
	if !ecdsa.VerifyASN1(key, digest[:], der) {
		return refuse("the signature does not verify", nil)
	}
	said, err = tpm2.Unmarshal[tpm2.TPMSAttest](s.Said)
	if err != nil || !bytes.Equal(tpm2.Marshal(*said), s.Said) {
		return refuse("the statement cannot be read", err)
	}
	switch {
	// Attack: data from outside, hashed and signed by the TPM on request, that
	// looks like a statement: TPM2_Hash gives no ticket for such (Part 1, 25.2).
	case said.Magic != tpm2.TPMGeneratedValue:
		return refuse("the statement was not composed by the TPM", nil)
	case said.Type != kind:
		return refuse("the statement is of another type", nil)
	case subtle.ConstantTimeCompare(said.ExtraData.Buffer, nonce) != 1:
		return refuse("the statement is for another nonce", nil)
	}
	return said, nil
}

// Challenge is a secret that only the TPM with an endorsement key can read, and
// only if it also has an attestation key (Part 1, 24: TPM2_MakeCredential).
type Challenge struct {
	Credential []byte `json:"credential"` // TPM2B_ID_OBJECT without its length
	Secret     []byte `json:"secret"`     // TPM2B_ENCRYPTED_SECRET without its length
}

// NewChallenge makes a Challenge of secret, at most 32 bytes, for the public
// areas of an endorsement key and an attestation key. It needs no TPM.
func NewChallenge(ek, ak, secret []byte) (c Challenge, err error) {
	defer guard(&err)
	if len(secret) == 0 || len(secret) > sha256.Size {
		return Challenge{}, fmt.Errorf("tpm: challenge: secret of %d bytes, expected 1 to 32", len(secret))
	}
	if err := IsEndorsement(ek); err != nil {
		return Challenge{}, err
	}
	e, err := parseArea(ek)
	if err != nil {
		return Challenge{}, err
	}
	a, err := parseArea(ak)
	if err != nil {
		return Challenge{}, err
	}
	key, err := tpm2.ImportEncapsulationKey(&e.TPMTPublic)
	if err != nil {
		return Challenge{}, fmt.Errorf("tpm: challenge: %w", err)
	}
	c.Credential, c.Secret, err = tpm2.CreateCredential(rand.Reader, key, a.name.Buffer, secret)
	if err != nil {
		return Challenge{}, fmt.Errorf("tpm: challenge: %w", err)
	}
	return c, nil
}

// IsEndorsement reports nil if a public area is that of an endorsement key by
// the templates of the EK profile.
func IsEndorsement(ek []byte) error {
	a, err := parseArea(ek)
	if err != nil {
		return err
	}
	if a.like(tpm2.ECCEKTemplate) != nil && a.like(tpm2.RSAEKTemplate) != nil {
		return fmt.Errorf("tpm: the endorsement key is not made by a template of the EK profile")
	}
	return nil
}

// SubjectPublicKeyInfo returns the public key in a public area in DER.
func SubjectPublicKeyInfo(public []byte) ([]byte, error) {
	a, err := parseArea(public)
	if err != nil {
		return nil, err
	}
	return a.spki()
}
