package tpm

import (
	"context"
	"fmt"

	"github.com/google/go-tpm/tpm2"
)

// MaxSealed bounds what Seal takes, in bytes: what every TPM can (MAX_SYM_DATA,
// Part 2, 11.1.14).
const MaxSealed = 128

// Seal gives a secret, of 1 to MaxSealed bytes, to the TPM to keep. Only this
// TPM gives it back, as long as it is not cleared, and only to TPM2_Unseal.
//
// With registers it does so only while they have the values that they have
// now. That binds the secret to firmware, boot loader and kernel as they are:
// any update of those makes it unreadable.
func (d *Device) Seal(ctx context.Context, secret []byte, registers []uint) (Blob, error) {
	if len(secret) == 0 || len(secret) > MaxSealed {
		return Blob{}, fmt.Errorf("tpm: seal %d bytes, expected 1 to %d", len(secret), MaxSealed)
	}
	var b Blob
	err := d.visit(ctx, func(v *visit) error {
		var values PCRs
		if len(registers) > 0 {
			var err error
			if values, err = v.registers(registers); err != nil {
				return err
			}
		}
		policy, err := sealPolicy(registers, values)
		if err != nil {
			return err
		}
		b, err = v.create(sealTemplate(policy), secret)
		return err
	})
	return b, err
}

// sealPolicy is TPM2_PolicyCommandCode(TPM2_Unseal), and TPM2_PolicyPCR after it
// if there are registers (Part 3, 23.11 and 23.7).
func sealPolicy(registers []uint, values PCRs) ([]byte, error) {
	policy, err := tpm2.NewPolicyCalculator(tpm2.TPMAlgSHA256)
	if err != nil {
		return nil, err
	}
	if err := (tpm2.PolicyCommandCode{Code: tpm2.TPMCCUnseal}).Update(policy); err != nil {
		return nil, err
	}
	if len(registers) > 0 {
		selected, err := selection(registers)
		if err != nil {
			return nil, err
		}
		digest := values.Digest()
		if err := (tpm2.PolicyPCR{PcrDigest: tpm2.TPM2BDigest{Buffer: digest[:]}, Pcrs: selected}).Update(policy); err != nil {
			return nil, err
		}
	}
	return policy.Hash().Digest, nil
}

// Unseal returns the secret in a blob of Seal's with the same registers. If they
// have other values now it is ErrPCR.
func (d *Device) Unseal(ctx context.Context, b Blob, registers []uint) ([]byte, error) {
	a, err := parseArea(b.Public)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBlob, err)
	}
	var secret []byte
	err = d.visit(ctx, func(v *visit) error {
		item, err := v.load(b, sealTemplate(a.AuthPolicy.Buffer))
		if err != nil {
			return err
		}
		session, err := v.policy()
		if err != nil {
			return err
		}
		if _, err := run(v.wire, tpm2.PolicyCommandCode{PolicySession: session.Handle(), Code: tpm2.TPMCCUnseal}); err != nil {
			return err
		}
		if len(registers) > 0 {
			selected, err := selection(registers)
			if err != nil {
				return err
			}
			if _, err := run(v.wire, tpm2.PolicyPCR{PolicySession: session.Handle(), Pcrs: selected}); err != nil {
				return err
			}
		}
		r, err := run(v.wire, tpm2.Unseal{ItemHandle: tpm2.AuthHandle{Handle: item.Handle, Name: item.Name, Auth: session}})
		if err != nil {
			return err
		}
		secret = r.OutData.Buffer
		return nil
	})
	return secret, err
}
