package cms_test

import (
	"bytes"
	"encoding/asn1"
	"runtime"
	"testing"

	"kpm/trust/cms"
	"kpm/trust/trusttest"
)

// However a signature is filled up, reading it takes little more memory than it
// has bytes: no tree is built of what has not been counted.
func TestMemoryIsBounded(t *testing.T) {
	nulls := bytes.Repeat(asn1.NullBytes, 3<<20)
	for _, tc := range []struct {
		name string
		make func(b *bench) []byte
	}{
		{"content of three million elements", func(b *bench) []byte {
			return whole(b.Digests().DER(), trusttest.Sequence(trusttest.Encode(trusttest.OIDData), wrap(0xa0, trusttest.Sequence(nulls))),
				b.Certificates().DER(), b.Signers().DER())
		}},
		{"attribute of three million elements", func(b *bench) []byte {
			attribute := trusttest.Attribute(oid(1, 2, 3), trusttest.Sequence(nulls))
			parts := [][]byte{}
			for _, n := range b.Signer().Children {
				parts = append(parts, n.DER())
			}
			signer := trusttest.Sequence(append(parts, wrap(0xa1, attribute))...)
			return whole(b.Digests().DER(), b.Content().DER(), b.Certificates().DER(), wrap(0x31, signer))
		}},
		{"three million certificates", func(b *bench) []byte {
			return whole(b.Digests().DER(), b.Content().DER(), wrap(0xa0, bytes.Repeat([]byte{0x30, 0}, 3<<20)), b.Signers().DER())
		}},
		{"BER of half a million elements", func(*bench) []byte {
			return append([]byte{0x30, 0x80}, bytes.Repeat(asn1.NullBytes, 500_000)...)
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			der := tc.make(start(t, trusttest.GoodEC))
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			cms.Parse(der)
			runtime.ReadMemStats(&after)
			if took := after.TotalAlloc - before.TotalAlloc; took > 32<<20 {
				t.Errorf("%d MiB for %d MiB", took>>20, len(der)>>20)
			}
		})
	}
}

// whole puts the parts of SignedData together without taking them apart.
func whole(parts ...[]byte) []byte {
	return trusttest.Sequence(trusttest.Encode(trusttest.OIDSignedData),
		wrap(0xa0, trusttest.Sequence(append([][]byte{trusttest.Encode(1)}, parts...)...)))
}

// wrap encodes a constructed element.
func wrap(id byte, inner []byte) []byte {
	der := trusttest.Sequence(inner)
	der[0] = id
	return der
}
