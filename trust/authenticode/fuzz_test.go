package authenticode

import (
	"bytes"
	"crypto"
	"testing"

	"kpm/core"
	"kpm/trust/trusttest"
)

// FuzzVerify: whatever the bytes, Verify returns, without error, and trusts
// nothing that was not signed with a key of this process.
func FuzzVerify(f *testing.F) {
	pki := trusttest.New(f)
	anchors := pki.Anchors()
	good := pki.Get(trusttest.Good)
	signed := sign(f, good, ".exe", victim.bytes(), stamped(f, pki.Get(trusttest.Stamper), "-ph")...)
	image32 := sign(f, good, ".exe", handmade{sections: 1, overlay: 5}.bytes())
	list := catalogFile(f, good, trustList(f, member1(f, victim.bytes())))
	for _, seed := range [][]byte{nil, victim.bytes(), handmade{}.bytes(), signed, image32, dual(f, pki, victim.bytes()), list} {
		f.Add(seed)
	}
	genuine := make(map[string]bool)
	for _, image := range [][]byte{signed, image32} {
		genuine[string(digestOf(f, image, crypto.SHA256)[crypto.SHA256])] = true
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		format, evidence, err := Verify(t.Context(), bytes.NewReader(data), int64(len(data)), anchors)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range evidence {
			if e.Reason == "" || e.Kind == "" || len(e.Checks) == 0 {
				t.Fatalf("%s: %+v", format, e)
			}
		}
		// What the fuzzer has not got a key for it cannot have signed: the
		// image inside must be one of the seeds'.
		if standing(evidence) == core.Trusted && format == formatPE {
			s, err := readPE(bytes.NewReader(data), int64(len(data)))
			if err != nil {
				t.Fatal(err)
			}
			sums, err := s.digest(t.Context(), []crypto.Hash{crypto.SHA256})
			if err != nil || !genuine[string(sums[crypto.SHA256])] {
				t.Fatalf("trusted: %x %+v", data, evidence)
			}
		}
	})
}

// FuzzSignedContent reads what a trusted signer may have put into a signature.
func FuzzSignedContent(f *testing.F) {
	image := victim.bytes()
	f.Add(goodContent(f, image).der(f))
	f.Add(trustList(f, member1(f, image), nameless(hexName(make([]byte, 20)))).der(f))
	f.Add(set(seq(object(oidPageHashesV2...), set(octet(make([]byte, 72))))).der(f))
	f.Fuzz(func(t *testing.T, data []byte) {
		if c, err := readIndirect(data); err == nil && (c.dataType == nil || c.algorithm == nil) {
			t.Fatalf("%+v", c)
		}
		list := &Catalog{members: make(map[string]member)}
		if err := list.readList(data); err == nil {
			for digest := range list.members {
				if hashOf([]byte(digest)) == 0 {
					t.Fatalf("%x", digest)
				}
			}
		}
	})
}
