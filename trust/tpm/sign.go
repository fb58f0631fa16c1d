package tpm

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"encoding/asn1"
	"fmt"
	"io"
	"math/big"

	"github.com/google/go-tpm/tpm2"
)

// Signer signs with a key in a TPM.
type Signer struct {
	device *Device
	blob   Blob
	public *ecdsa.PublicKey
}

var _ crypto.Signer = (*Signer)(nil)

// Signer returns the signer for a key of CreateKey's. It does not ask the TPM.
// A blob that is none is ErrBlob.
func (d *Device) Signer(key Blob) (*Signer, error) {
	a, err := parseArea(key.Public)
	if err == nil {
		err = a.like(signingTemplate(false))
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBlob, err)
	}
	public, err := a.ecdsaKey()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBlob, err)
	}
	return &Signer{d, key, public}, nil
}

// Public implements crypto.Signer: an *ecdsa.PublicKey on P-256.
func (s *Signer) Public() crypto.PublicKey { return s.public }

// Sign implements crypto.Signer for SHA-256 digests. The TPM has randomness of
// its own. It takes as long as the TPM does, 10 to 300 ms.
func (s *Signer) Sign(_ io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	if opts == nil || opts.HashFunc() != crypto.SHA256 {
		return nil, fmt.Errorf("tpm: sign: the key signs SHA-256 digests only")
	}
	return s.SignContext(context.Background(), digest)
}

// SignContext signs a SHA-256 digest. The result is an ECDSA-Sig-Value (RFC
// 3279, section 2.2.3).
func (s *Signer) SignContext(ctx context.Context, digest []byte) ([]byte, error) {
	if len(digest) != crypto.SHA256.Size() {
		return nil, fmt.Errorf("tpm: sign: digest of %d bytes, expected 32", len(digest))
	}
	var signature []byte
	err := s.device.visit(ctx, func(v *visit) error {
		h, err := v.key(s.blob, signingTemplate(false))
		if err != nil {
			return err
		}
		key, err := v.use(h)
		if err != nil {
			return err
		}
		r, err := run(v.wire, tpm2.Sign{
			KeyHandle:  key,
			Digest:     tpm2.TPM2BDigest{Buffer: digest},
			Validation: tpm2.TPMTTKHashCheck{Tag: tpm2.TPMSTHashCheck},
		})
		if err != nil {
			return err
		}
		signature, err = ecdsaSignature(r.Signature)
		// Attack: a fault induced in the TPM. A wrong ECDSA signature can give
		// the key away, so none is let out.
		if err == nil && !ecdsa.VerifyASN1(s.public, digest, signature) {
			err = fmt.Errorf("the signature does not verify")
		}
		return classify("Sign", err)
	})
	if err != nil {
		return nil, err
	}
	return signature, nil
}

// ecdsaSignature returns a TPMT_SIGNATURE as crypto/ecdsa has it.
func ecdsaSignature(s tpm2.TPMTSignature) (der []byte, err error) {
	defer guard(&err)
	if s.SigAlg != tpm2.TPMAlgECDSA {
		return nil, fmt.Errorf("tpm: signature of algorithm %#x, expected ECDSA", uint16(s.SigAlg))
	}
	e, err := s.Signature.ECDSA()
	if err != nil {
		return nil, fmt.Errorf("tpm: signature: %w", err)
	}
	if e.Hash != tpm2.TPMAlgSHA256 {
		return nil, fmt.Errorf("tpm: signature over digest %#x, expected SHA-256", uint16(e.Hash))
	}
	return asn1.Marshal(struct{ R, S *big.Int }{
		new(big.Int).SetBytes(e.SignatureR.Buffer), new(big.Int).SetBytes(e.SignatureS.Buffer),
	})
}
