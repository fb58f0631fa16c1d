package cms_test

import (
	"testing"

	"kpm/trust/trusttest"
)

// BenchmarkVerify is one signature, read and verified.
func BenchmarkVerify(b *testing.B) {
	p := trusttest.New(b)
	for _, tc := range []struct{ name, signer string }{{"RSA-2048", trusttest.Good}, {"P-256", trusttest.GoodEC}} {
		b.Run(tc.name, func(b *testing.B) {
			der := trusttest.Sign(trusttest.Message{Signer: p.Get(tc.signer), Content: signed})
			b.ReportAllocs()
			for b.Loop() {
				if _, err := verify(der); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
