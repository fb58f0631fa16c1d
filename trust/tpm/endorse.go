package tpm

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/asn1"
	"fmt"

	"github.com/google/go-tpm/tpm2"
)

const (
	maxCertificate = 8 << 10 // bytes
	nvChunk        = 512     // bytes a TPM2_NV_Read: what every TPM can
)

// endorsement is one of the keys that a TPM is born with (EK profile, B.3.3 and
// B.3.4: templates L-1 and L-2).
type endorsement struct {
	template    tpm2.TPMTPublic
	persistent  tpm2.TPMHandle // where it may lie ready
	certificate tpm2.TPMHandle // index of the maker's certificate
}

func eccEndorsement() endorsement {
	return endorsement{tpm2.ECCEKTemplate, eccEndorsementHandle, eccEndorsementIndex}
}

func rsaEndorsement() endorsement {
	return endorsement{tpm2.RSAEKTemplate, rsaEndorsementHandle, rsaEndorsementIndex}
}

// endorsementKey loads an endorsement key. An RSA key that does not lie ready
// takes the TPM seconds.
func (v *visit) endorsementKey(e endorsement) (tpm2.TPMHandle, area, error) {
	if a, err := v.read(e.persistent); err == nil && a.like(e.template) == nil {
		return e.persistent, a, nil
	}
	return v.primary(tpm2.TPMRHEndorsement, e.template)
}

// Endorsement is the key that a TPM was born with, and what its maker says of
// it. It names the TPM for good: it is for a registration server, and for
// nobody else.
type Endorsement struct {
	Public      []byte // public area
	Certificate []byte // X.509 DER; nil if the TPM has none for the key
}

// Endorsement returns the endorsement key that the TPM's maker has certified,
// the ECC one if there is a choice or none has a certificate.
func (d *Device) Endorsement(ctx context.Context) (Endorsement, error) {
	var found Endorsement
	err := d.visit(ctx, func(v *visit) error {
		for _, e := range []endorsement{eccEndorsement(), rsaEndorsement()} {
			certificate, err := v.readCertificate(e.certificate)
			if err != nil {
				continue // the usual answer: no such index
			}
			h, a, err := v.endorsementKey(e)
			if err != nil {
				return err
			}
			if spki, err := a.spki(); err == nil && bytes.Equal(spki, certificate.RawSubjectPublicKeyInfo) {
				found = Endorsement{a.raw, certificate.Raw}
				return nil
			}
			if err := v.forget(h); err != nil {
				return err
			}
		}
		_, a, err := v.endorsementKey(eccEndorsement())
		found = Endorsement{Public: a.raw}
		return err
	})
	return found, err
}

// readCertificate reads the certificate at an index. Bytes after it are filling.
func (v *visit) readCertificate(index tpm2.TPMHandle) (certificate *x509.Certificate, err error) {
	defer guard(&err)
	r, err := run(v.wire, tpm2.NVReadPublic{NVIndex: index})
	if err != nil {
		return nil, err
	}
	public, err := r.NVPublic.Contents()
	if err != nil {
		return nil, fmt.Errorf("tpm: index %#x: %w", uint32(index), err)
	}
	name, err := tpm2.NVName(public)
	if err != nil {
		return nil, fmt.Errorf("tpm: index %#x: %w", uint32(index), err)
	}
	if public.DataSize > maxCertificate {
		return nil, fmt.Errorf("tpm: index %#x has %d bytes, expected at most %d", uint32(index), public.DataSize, maxCertificate)
	}
	var data []byte
	for len(data) < int(public.DataSize) {
		part, err := run(v.wire, tpm2.NVRead{
			AuthHandle: tpm2.AuthHandle{Handle: index, Name: *name, Auth: tpm2.PasswordAuth(nil)},
			NVIndex:    tpm2.NamedHandle{Handle: index, Name: *name},
			Size:       min(nvChunk, public.DataSize-uint16(len(data))),
			Offset:     uint16(len(data)),
		})
		if err != nil {
			return nil, err
		}
		if len(part.Data.Buffer) == 0 {
			return nil, fmt.Errorf("tpm: index %#x ends after %d bytes of %d: %w", uint32(index), len(data), public.DataSize, ErrTampered)
		}
		data = append(data, part.Data.Buffer...)
	}
	var whole asn1.RawValue
	if _, err := asn1.Unmarshal(data, &whole); err != nil {
		return nil, fmt.Errorf("tpm: index %#x: %w", uint32(index), err)
	}
	return x509.ParseCertificate(whole.FullBytes)
}

// Activate answers a challenge that somebody made for an attestation key and an
// endorsement key of this TPM (Part 1, 24): it returns the secret in it, which
// proves that both are in the same TPM. ek is Endorsement.Public; credential and
// secret are TPM2B_ID_OBJECT and TPM2B_ENCRYPTED_SECRET without their lengths.
func (d *Device) Activate(ctx context.Context, ak Blob, ek, credential, secret []byte) ([]byte, error) {
	var answer []byte
	err := d.visit(ctx, func(v *visit) error {
		e := eccEndorsement()
		if a, err := parseArea(ek); err != nil {
			return err
		} else if a.Type == tpm2.TPMAlgRSA {
			e = rsaEndorsement()
		}
		eh, a, err := v.endorsementKey(e)
		if err != nil {
			return err
		}
		if !bytes.Equal(a.raw, ek) {
			return fmt.Errorf("tpm: activate: %w", ErrOtherTPM)
		}
		ah, err := v.key(ak, signingTemplate(true))
		if err != nil {
			return err
		}
		session, err := v.salted(tpm2.AESEncryption(sessionBits, tpm2.EncryptInOut))
		if err != nil {
			return err
		}
		policy, err := v.start(tpm2.PolicySession, nil)
		if err != nil {
			return err
		}
		// EK profile, B.3.1: PolicyA is TPM2_PolicySecret(TPM_RH_ENDORSEMENT).
		_, err = run(v.wire, tpm2.PolicySecret{
			AuthHandle:    tpm2.TPMRHEndorsement,
			PolicySession: policy.Handle(),
			NonceTPM:      policy.NonceTPM(),
		})
		if err != nil {
			return err
		}
		r, err := run(v.wire, tpm2.ActivateCredential{
			ActivateHandle: tpm2.AuthHandle{Handle: ah.Handle, Name: ah.Name, Auth: session},
			KeyHandle:      tpm2.AuthHandle{Handle: eh, Name: a.name, Auth: policy},
			CredentialBlob: tpm2.TPM2BIDObject{Buffer: credential},
			Secret:         tpm2.TPM2BEncryptedSecret{Buffer: secret},
		})
		if err != nil {
			return err
		}
		answer = r.CertInfo.Buffer
		return nil
	})
	return answer, err
}
