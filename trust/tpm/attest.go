package tpm

import (
	"context"
	"fmt"

	"github.com/google/go-tpm/tpm2"
)

// The verifier's nonce, in bytes: the lower bound is against replay, the upper
// what every TPM takes as qualifying data (Part 2, 10.4.3).
const (
	MinNonce = 16
	MaxNonce = 32
)

// Statement is something that a TPM says and an attestation key has signed.
type Statement struct {
	Said      []byte `json:"said"`      // TPMS_ATTEST
	Signature []byte `json:"signature"` // TPMT_SIGNATURE
}

// Quote states the values of registers, which are in ascending order.
func (d *Device) Quote(ctx context.Context, ak Blob, nonce []byte, registers []uint) (Statement, PCRs, error) {
	var s Statement
	var values PCRs
	err := d.state(ctx, ak, nonce, func(v *visit, signer tpm2.AuthHandle) error {
		selected, err := selection(registers)
		if err != nil {
			return err
		}
		for range maxReads {
			if values, err = v.registers(registers); err != nil {
				return err
			}
			r, err := run(v.wire, tpm2.Quote{
				SignHandle: signer, QualifyingData: tpm2.TPM2BData{Buffer: nonce}, PCRSelect: selected,
			})
			if err != nil {
				return err
			}
			s = Statement{r.Quoted.Bytes(), tpm2.Marshal(r.Signature)}
			if quoted, err := r.Quoted.Contents(); err == nil && quotes(quoted, registers, values) == nil {
				return nil
			}
		}
		return fmt.Errorf("tpm: quote: the registers change all the time: %w", ErrBusy)
	})
	return s, values, err
}

// Certify states that a machine key is in the TPM.
func (d *Device) Certify(ctx context.Context, ak, key Blob, nonce []byte) (Statement, error) {
	var s Statement
	err := d.state(ctx, ak, nonce, func(v *visit, signer tpm2.AuthHandle) error {
		h, err := v.key(key, signingTemplate(false))
		if err != nil {
			return err
		}
		object, err := v.use(h)
		if err != nil {
			return err
		}
		// The session of the object covers the whole command; one session
		// cannot authorize twice in it.
		signer.Auth = tpm2.PasswordAuth(nil)
		r, err := run(v.wire, tpm2.Certify{
			ObjectHandle: object, SignHandle: signer, QualifyingData: tpm2.TPM2BData{Buffer: nonce},
		})
		if err != nil {
			return err
		}
		s = Statement{r.CertifyInfo.Bytes(), tpm2.Marshal(r.Signature)}
		return nil
	})
	return s, err
}

func (d *Device) state(ctx context.Context, ak Blob, nonce []byte, do func(*visit, tpm2.AuthHandle) error) error {
	if err := checkNonce(nonce); err != nil {
		return err
	}
	return d.visit(ctx, func(v *visit) error {
		h, err := v.key(ak, signingTemplate(true))
		if err != nil {
			return err
		}
		signer, err := v.use(h)
		if err != nil {
			return err
		}
		return do(v, signer)
	})
}

func checkNonce(nonce []byte) error {
	if len(nonce) < MinNonce || len(nonce) > MaxNonce {
		return fmt.Errorf("tpm: nonce of %d bytes, expected %d to %d", len(nonce), MinNonce, MaxNonce)
	}
	return nil
}
