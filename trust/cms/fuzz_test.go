package cms_test

import (
	"bytes"
	"crypto"
	"testing"

	"kpm/trust/cms"
	"kpm/trust/trusttest"
)

// FuzzVerify: nothing panics, and whatever verifies is what the signers of the
// seeds have signed.
func FuzzVerify(f *testing.F) {
	p := trusttest.New(f)
	for _, m := range accepted(p) {
		f.Add(trusttest.Sign(m.Message))
	}
	f.Add(inBER(start(f, trusttest.GoodEC)))
	f.Add(p.Stamp(trusttest.Sign(trusttest.Message{Signer: p.Get(trusttest.GoodEC), Content: signed}), trusttest.StamperEC, p.Now))
	for _, forgery := range forgeries {
		f.Add(forgery.make(f))
	}
	f.Fuzz(func(t *testing.T, der []byte) {
		d, err := cms.Parse(der)
		if err != nil {
			return
		}
		s, err := d.Verify(nil)
		if err == nil && len(d.Content) > 0 && !bytes.Equal(d.Content, signed) {
			t.Fatalf("%v never signed %q", s.Certificate.Subject, d.Content)
		}
	})
}

// FuzzCountersignature is the other way into the reader of signers.
func FuzzCountersignature(f *testing.F) {
	p := trusttest.New(f)
	s, err := verify(start(f, trusttest.GoodEC).DER())
	if err != nil {
		f.Fatal(err)
	}
	stamper := p.Get(trusttest.StamperEC)
	good := trusttest.Countersignature(stamper, s.Signature, p.Now, crypto.SHA256)
	f.Add(good)
	f.Add(good[:len(good)-1])
	f.Fuzz(func(t *testing.T, der []byte) {
		by, err := s.Countersignature(der, stamper.Chain())
		if err == nil && !by.Certificate.Equal(stamper.Certificate) {
			t.Fatal("another certificate")
		}
	})
}
