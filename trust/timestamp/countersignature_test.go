package timestamp_test

import (
	"crypto"
	"crypto/rsa"
	"testing"
	"time"

	"kpm/core"
	"kpm/trust/cms"
	"kpm/trust/trusttest"
)

func TestCountersignatures(t *testing.T) {
	p := pki()
	hour := p.Now.Add(-time.Hour)
	data := trusttest.Attribute(trusttest.OIDContentType, trusttest.Encode(trusttest.OIDData))
	for _, tc := range []struct {
		stampCase
		make func(value []byte) []byte
	}{
		{stampCase{name: "good", want: core.Trusted}, func(v []byte) []byte {
			return trusttest.Countersignature(p.Get(trusttest.Stamper), v, hour, crypto.SHA256)
		}},
		{stampCase{name: "with content type", want: core.Trusted}, func(v []byte) []byte {
			return trusttest.Countersignature(p.Get(trusttest.Stamper), v, hour, crypto.SHA256, data)
		}},
		{stampCase{name: "with SHA-1", want: core.Untrusted, reason: "can be forged"}, func(v []byte) []byte {
			return trusttest.Countersignature(p.Get(trusttest.Stamper), v, hour, crypto.SHA1)
		}},
		{stampCase{name: "of the bare digest, changed", err: cms.ErrForged}, func(v []byte) []byte {
			der := bareDigest(t, v, crypto.SHA1)
			der[len(der)-3] ^= 1
			return der
		}},
		{stampCase{name: "of a bare digest, of another signature", err: cms.ErrForged}, func([]byte) []byte { return bareDigest(t, []byte("another"), crypto.SHA1) }},
		{stampCase{name: "of the bare digest, with SHA-256", err: cms.ErrForged}, func(v []byte) []byte { return bareDigest(t, v, crypto.SHA256) }},
		{stampCase{name: "of the bare digest", err: cms.ErrUnsupported}, func(v []byte) []byte { return bareDigest(t, v, crypto.SHA1) }},
		{stampCase{name: "by the signer himself", want: core.Untrusted, reason: "not for time-stamps"}, func(v []byte) []byte {
			return trusttest.Countersignature(p.Get(trusttest.GoodEC), v, hour, crypto.SHA256)
		}},
		{stampCase{name: "by one whose certificate did not come along", err: cms.ErrMalformed}, func(v []byte) []byte {
			return trusttest.Countersignature(p.Get(trusttest.StamperStray), v, hour, crypto.SHA256)
		}},
		{stampCase{name: "from the future", want: core.Untrusted, reason: "not come yet"}, func(v []byte) []byte {
			return trusttest.Countersignature(p.Get(trusttest.Stamper), v, p.Now.Add(24*time.Hour), crypto.SHA256)
		}},
		{stampCase{name: "of another signature", err: cms.ErrForged}, func([]byte) []byte {
			return trusttest.Countersignature(p.Get(trusttest.Stamper), []byte("another"), hour, crypto.SHA256)
		}},
		{stampCase{name: "changed", err: cms.ErrForged}, func(v []byte) []byte {
			der := trusttest.Countersignature(p.Get(trusttest.Stamper), v, hour, crypto.SHA256)
			der[len(der)-3] ^= 1
			return der
		}},
		{stampCase{name: "without a time", err: cms.ErrMalformed}, func(v []byte) []byte {
			return withTime(trusttest.Countersignature(p.Get(trusttest.Stamper), v, hour, crypto.SHA256), nil)
		}},
		{stampCase{name: "with a time that is none", err: cms.ErrMalformed}, func(v []byte) []byte {
			return withTime(trusttest.Countersignature(p.Get(trusttest.Stamper), v, hour, crypto.SHA256), trusttest.Encode("now"))
		}},
		{stampCase{name: "that is a token", err: cms.ErrMalformed}, stampCase{}.make},
		{stampCase{name: "that is nothing", err: cms.ErrMalformed}, func([]byte) []byte { return []byte{0x30, 0} }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s, others := stamped(t, func(value []byte, f *trusttest.Forgery) { f.AddUnsigned(trusttest.OIDCountersign, tc.make(value)) })
			expect(t, s, others, "legacy", tc.stampCase)
		})
	}
}

// bareDigest is a countersignature whose RSA signature pads the digest without
// DigestInfo, as VeriSign and Symantec made them.
func bareDigest(t *testing.T, over []byte, hash crypto.Hash) []byte {
	f := &trusttest.Forgery{Root: trusttest.Tree(trusttest.Sign(trusttest.Message{Signer: pki().Get(trusttest.Stamper)}))}
	f.Signers().Children[0] = trusttest.Tree(trusttest.Countersignature(pki().Get(trusttest.Stamper), over, pki().Now.Add(-time.Hour), hash))
	attributes := f.Signed().Clone()
	attributes.ID = 0x31
	value, err := rsa.SignPKCS1v15(nil, pki().Get(trusttest.Stamper).Key.(*rsa.PrivateKey), 0, digest(hash, attributes.DER()))
	if err != nil {
		t.Fatal(err)
	}
	f.Value().Body = value
	return f.Signer().DER()
}

// withTime replaces the signing time and signs anew.
func withTime(countersignature, value []byte) []byte {
	f := &trusttest.Forgery{Root: trusttest.Tree(trusttest.Sign(trusttest.Message{Signer: pki().Get(trusttest.Stamper)}))}
	f.Signers().Children[0] = trusttest.Tree(countersignature)
	i := f.Find(trusttest.OIDSigningTime)
	f.Signed().Remove(i)
	if value != nil {
		f.Signed().Add(trusttest.Tree(trusttest.Attribute(trusttest.OIDSigningTime, value)))
	}
	f.Resign(pki().Get(trusttest.Stamper), crypto.SHA256)
	return f.Signer().DER()
}
