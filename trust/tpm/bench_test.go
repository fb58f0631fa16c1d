package tpm_test

import (
	"crypto"
	"crypto/rand"
	"testing"

	"kpm/trust/tpm"
)

func BenchmarkDeviceSign(b *testing.B) {
	s, _ := signer(b, device(b))
	checkSigns(b, s)
	for b.Loop() {
		if _, err := s.Sign(rand.Reader, digest[:], crypto.SHA256); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDeviceCreateKey(b *testing.B) {
	d := device(b)
	for b.Loop() {
		must[tpm.Blob](b)(d.CreateKey(b.Context()))
	}
}

func BenchmarkDeviceSeal(b *testing.B) {
	d := device(b)
	for b.Loop() {
		must[tpm.Blob](b)(d.Seal(b.Context(), digest[:], nil))
	}
}

func BenchmarkDeviceUnseal(b *testing.B) {
	d := device(b)
	sealed := must[tpm.Blob](b)(d.Seal(b.Context(), digest[:], nil))
	for b.Loop() {
		must[[]byte](b)(d.Unseal(b.Context(), sealed, nil))
	}
}

func BenchmarkDeviceQuote(b *testing.B) {
	d := device(b)
	ak := must[tpm.Blob](b)(d.CreateAttestationKey(b.Context()))
	for b.Loop() {
		if _, _, err := d.Quote(b.Context(), ak, make([]byte, tpm.MinNonce), registers); err != nil {
			b.Fatal(err)
		}
	}
}
