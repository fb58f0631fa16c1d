package tpm_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"testing"

	"github.com/google/go-tpm/tpm2"

	"kpm/trust/tpm"
)

func FuzzPublicKey(f *testing.F) {
	d := newMachine(f)
	_, key := signer(f, d)
	ek := must[tpm.Endorsement](f)(d.Endorsement(f.Context()))
	for _, public := range [][]byte{key.Public, d.Memory().Storage, ek.Public, tpm2.Marshal(tpm2.RSAEKTemplate), nil, {0, 0x23}, {0, 8, 0, 11, 0xff}} {
		f.Add(public)
	}
	f.Fuzz(func(t *testing.T, public []byte) {
		_, _ = tpm.PublicKey(public)
		_, _ = tpm.SubjectPublicKeyInfo(public)
		_, _ = tpm.NewChallenge(public, key.Public, []byte("secret"))
		if s, err := d.Signer(tpm.Blob{Public: public, Private: key.Private}); err == nil && s.Public() == nil {
			t.Error("a signer without a key")
		}
	})
}

// said is a statement by a key that is always the same, as a TPM composes it.
func said(tb testing.TB, by *ecdsa.PrivateKey, kind tpm2.TPMST, about tpm2.TPMUAttest, n []byte) tpm.Statement {
	tb.Helper()
	text := tpm2.Marshal(tpm2.TPMSAttest{
		Magic: tpm2.TPMGeneratedValue, Type: kind, ExtraData: tpm2.TPM2BData{Buffer: n}, Attested: about,
	})
	sum := sha256.Sum256(text)
	r, s, err := ecdsa.Sign(rand.Reader, by, sum[:])
	if err != nil {
		tb.Fatal(err)
	}
	return tpm.Statement{Said: text, Signature: tpm2.Marshal(tpm2.TPMTSignature{
		SigAlg: tpm2.TPMAlgECDSA,
		Signature: tpm2.NewTPMUSignature(tpm2.TPMAlgECDSA, &tpm2.TPMSSignatureECC{
			Hash:       tpm2.TPMAlgSHA256,
			SignatureR: tpm2.TPM2BECCParameter{Buffer: r.Bytes()}, SignatureS: tpm2.TPM2BECCParameter{Buffer: s.Bytes()},
		}),
	})}
}

func FuzzVerify(f *testing.F) {
	// A key as a TPM has it, the same in every process.
	public := func(restricted bool) []byte {
		return tpm2.Marshal(tpm2.TPMTPublic{
			Type: tpm2.TPMAlgECC, NameAlg: tpm2.TPMAlgSHA256,
			ObjectAttributes: tpm2.TPMAObject{
				FixedTPM: true, FixedParent: true, SensitiveDataOrigin: true, UserWithAuth: true, NoDA: true,
				SignEncrypt: true, Restricted: restricted,
			},
			Parameters: tpm2.NewTPMUPublicParms(tpm2.TPMAlgECC, &tpm2.TPMSECCParms{
				Scheme: tpm2.TPMTECCScheme{
					Scheme:  tpm2.TPMAlgECDSA,
					Details: tpm2.NewTPMUAsymScheme(tpm2.TPMAlgECDSA, &tpm2.TPMSSigSchemeECDSA{HashAlg: tpm2.TPMAlgSHA256}),
				},
				CurveID: tpm2.TPMECCNistP256,
			}),
			Unique: tpm2.NewTPMUPublicID(tpm2.TPMAlgECC, &tpm2.TPMSECCPoint{
				X: tpm2.TPM2BECCParameter{Buffer: elliptic.P256().Params().Gx.Bytes()},
				Y: tpm2.TPM2BECCParameter{Buffer: elliptic.P256().Params().Gy.Bytes()},
			}),
		})
	}
	one := make([]byte, 32)
	one[31] = 1
	private := must[*ecdsa.PrivateKey](f)(ecdsa.ParseRawPrivateKey(elliptic.P256(), one))
	ak, key := public(true), public(false)
	n := make([]byte, tpm.MaxNonce)
	values := tpm.PCRs{0: {}, 16: {}}
	sum := values.Digest()
	quote := said(f, private, tpm2.TPMSTAttestQuote, tpm2.NewTPMUAttest(tpm2.TPMSTAttestQuote, &tpm2.TPMSQuoteInfo{
		PCRSelect: tpm2.TPMLPCRSelection{PCRSelections: []tpm2.TPMSPCRSelection{
			{Hash: tpm2.TPMAlgSHA256, PCRSelect: tpm2.PCClientCompatible.PCRs(0, 16)},
		}},
		PCRDigest: tpm2.TPM2BDigest{Buffer: sum[:]},
	}), n)
	name := sha256.Sum256(key)
	certificate := said(f, private, tpm2.TPMSTAttestCertify, tpm2.NewTPMUAttest(tpm2.TPMSTAttestCertify, &tpm2.TPMSCertifyInfo{
		Name: tpm2.TPM2BName{Buffer: append([]byte{0, 0x0b}, name[:]...)},
	}), n)
	if err := errors.Join(tpm.VerifyQuote(ak, quote, n, values), tpm.VerifyCertify(ak, certificate, n, key)); err != nil {
		f.Fatal(err)
	}
	f.Add(ak, quote.Said, quote.Signature, key)
	f.Add(ak, certificate.Said, certificate.Signature, key)
	f.Add([]byte{}, []byte{0xff, 'T', 'C', 'G', 0x80, 0x18}, []byte{0, 0x18}, []byte{})
	f.Fuzz(func(t *testing.T, by, text, signature, about []byte) {
		s := tpm.Statement{Said: text, Signature: signature}
		// Only what was said, by whom and about what it was said, is accepted.
		if tpm.VerifyQuote(by, s, n, values) == nil && !(bytes.Equal(by, ak) && bytes.Equal(text, quote.Said)) {
			t.Errorf("accepted as a quote: %x", text)
		}
		if tpm.VerifyCertify(by, s, n, about) == nil &&
			!(bytes.Equal(by, ak) && bytes.Equal(text, certificate.Said) && bytes.Equal(about, key)) {
			t.Errorf("accepted as certified: %x", text)
		}
	})
}

// FuzzResponse answers one command of each use of the TPM with anything.
func FuzzResponse(f *testing.F) {
	d := newMachine(f)
	_, key := signer(f, d)
	ak := must[tpm.Blob](f)(d.CreateAttestationKey(f.Context()))
	sealed := must[tpm.Blob](f)(d.Seal(f.Context(), []byte("secret"), nil))
	between := &bus{TPM: connect(f, d.path)}
	f.Cleanup(func() { between.Close() })
	for n := uint8(0); n < 16; n += 3 {
		f.Add(n, uint16(0x8002), uint32(0), []byte{0x80, 0, 0, 1, 0, 0, 0, 2, 0, 0})
		f.Add(n, uint16(0x8001), uint32(0), []byte{0, 0, 0, 1, 0xff, 0xff})
		f.Add(n, uint16(0x8001), uint32(0x922), []byte{})
	}
	f.Fuzz(func(t *testing.T, number uint8, tag uint16, code uint32, rest []byte) {
		between.instead = nil
		changed, err := tpm.Open(t.Context(), between, d.Memory())
		if err != nil {
			t.Fatal(err)
		}
		response := binary.BigEndian.AppendUint16(nil, tag)
		response = binary.BigEndian.AppendUint32(response, uint32(10+len(rest)))
		response = append(binary.BigEndian.AppendUint32(response, code), rest...)
		for _, do := range []func() error{
			func() error {
				s, err := changed.Signer(key)
				if err == nil {
					_, err = s.Sign(rand.Reader, digest[:], crypto.SHA256)
				}
				return err
			},
			func() error { _, err := changed.Unseal(t.Context(), sealed, []uint{0}); return err },
			func() error {
				_, _, err := changed.Quote(t.Context(), ak, make([]byte, 16), []uint{0})
				return err
			},
			func() error { _, err := changed.Endorsement(t.Context()); return err },
			func() error { _, err := changed.Info(t.Context()); return err },
		} {
			n := uint8(0)
			between.instead = func(tpm2.TPMCC) []byte {
				if n++; n-1 == number%24 {
					return bytes.Clone(response)
				}
				return nil
			}
			_ = do()
		}
		between.instead = nil
		flush(t, between.TPM)
	})
}
