package tpm

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/x509"
	"fmt"

	"github.com/google/go-tpm/tpm2"
)

// maxArea bounds a public or private area in bytes. The largest that we handle,
// that of an RSA-2048 endorsement key, has 314.
const maxArea = 1024

// Blob is an object made by a TPM: what it lets everyone see, and what it alone
// can open. Both are wire format (TPM2B_PUBLIC, TPM2B_PRIVATE) without the
// length in front. A Blob is no secret, and of no use without the TPM.
type Blob struct {
	Public  []byte `json:"public"`
	Private []byte `json:"private"`
}

// area is a public area and the name that the TPM calls it by (Part 1, 16).
type area struct {
	tpm2.TPMTPublic
	raw  []byte
	name tpm2.TPM2BName
}

// parseArea reads a public area (TPMT_PUBLIC) from outside. What does not come
// out the same when written again is refused: two readers of one blob must not
// see two keys.
func parseArea(raw []byte) (a area, err error) {
	defer guard(&err)
	if len(raw) == 0 || len(raw) > maxArea {
		return area{}, fmt.Errorf("tpm: public area of %d bytes, expected 1 to %d", len(raw), maxArea)
	}
	public, err := tpm2.Unmarshal[tpm2.TPMTPublic](raw)
	if err != nil {
		return area{}, fmt.Errorf("tpm: public area: %w", err)
	}
	if !bytes.Equal(tpm2.Marshal(*public), raw) {
		return area{}, fmt.Errorf("tpm: public area of %d bytes is not in its one form", len(raw))
	}
	if public.NameAlg != tpm2.TPMAlgSHA256 {
		return area{}, fmt.Errorf("tpm: public area is named with algorithm %#x, expected SHA-256", uint16(public.NameAlg))
	}
	sum := sha256.Sum256(raw)
	name := append([]byte{byte(tpm2.TPMAlgSHA256 >> 8), byte(tpm2.TPMAlgSHA256)}, sum[:]...)
	return area{TPMTPublic: *public, raw: bytes.Clone(raw), name: tpm2.TPM2BName{Buffer: name}}, nil
}

// like reports nil if the area is what a TPM makes of template: the same but
// for the key itself. With attributes such as fixedTPM, which only the TPM can
// have set, this is what makes a key worth anything.
func (a area) like(template tpm2.TPMTPublic) (err error) {
	defer guard(&err)
	template.Unique = a.Unique
	if !bytes.Equal(tpm2.Marshal(template), a.raw) {
		return fmt.Errorf("tpm: the key is not of the kind that was asked for")
	}
	return nil
}

// ecdsaKey returns an ECDSA P-256 key, on its curve.
func (a area) ecdsaKey() (key *ecdsa.PublicKey, err error) {
	defer guard(&err)
	public, err := tpm2.Pub(a.TPMTPublic)
	if err != nil {
		return nil, fmt.Errorf("tpm: public key: %w", err)
	}
	key, ok := public.(*ecdsa.PublicKey)
	if !ok || key.Curve.Params().BitSize != 256 {
		return nil, fmt.Errorf("tpm: public key is no ECDSA P-256 key")
	}
	if _, err := key.ECDH(); err != nil { // the point is on the curve
		return nil, fmt.Errorf("tpm: public key: %w", err)
	}
	return key, nil
}

// PublicKey returns the P-256 key in the public area of a machine key or an
// attestation key.
func PublicKey(public []byte) (*ecdsa.PublicKey, error) {
	a, err := parseArea(public)
	if err != nil {
		return nil, err
	}
	return a.ecdsaKey()
}

// spki returns any public key as SubjectPublicKeyInfo.
func (a area) spki() (der []byte, err error) {
	defer guard(&err)
	key, err := tpm2.Pub(a.TPMTPublic)
	if err != nil {
		return nil, fmt.Errorf("tpm: public key: %w", err)
	}
	return x509.MarshalPKIXPublicKey(key)
}
