package timestamp_test

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"strings"
	"testing"
	"time"

	"kpm/core"
	"kpm/trust/cms"
	"kpm/trust/timestamp"
	"kpm/trust/trusttest"
)

const year = 365 * 24 * time.Hour

// stamped is a signature by GoodEC with unsigned attributes, verified.
func stamped(t testing.TB, attributes func(value []byte, f *trusttest.Forgery)) (*cms.Signer, []*x509.Certificate) {
	t.Helper()
	p := trusttest.New(t)
	signer := p.Get(trusttest.GoodEC)
	f := trusttest.Take(trusttest.Sign(trusttest.Message{
		Signer: signer, Content: []byte("program"), Certificates: append(signer.Chain(), p.Get(trusttest.Stamper).Chain()...),
	}))
	if attributes != nil {
		attributes(f.Value().Body, f)
	}
	d, err := cms.Parse(f.DER())
	if err != nil {
		t.Fatal(err)
	}
	s, err := d.Verify(nil)
	if err != nil {
		t.Fatal(err)
	}
	return s, d.Certificates
}

// stampCase is one token: what it is made from, and what was done to it.
type stampCase struct {
	name   string
	token  func(k *trusttest.Token)
	change func(f *trusttest.Forgery)
	err    error // present but broken
	want   core.Standing
	reason string
}

func tstInfo(k *trusttest.Token, more ...[]byte) []byte {
	return trusttest.TSTInfo(trusttest.HashID(crypto.SHA256), digest(crypto.SHA256, k.Over), trusttest.GeneralizedTime(k.At), more...)
}

func digest(h crypto.Hash, data []byte) []byte {
	f := h.New()
	f.Write(data)
	return f.Sum(nil)
}

func text(tag byte, s string) []byte { return append([]byte{tag, byte(len(s))}, s...) }

// info replaces the TSTInfo.
func info(make func(k *trusttest.Token) []byte) func(*trusttest.Token) {
	return func(k *trusttest.Token) { k.Info = make(k) }
}

func at(encoded []byte) func(*trusttest.Token) {
	return info(func(k *trusttest.Token) []byte {
		return trusttest.TSTInfo(trusttest.HashID(crypto.SHA256), digest(crypto.SHA256, k.Over), encoded)
	})
}

func by(name string) func(*trusttest.Token) {
	return func(k *trusttest.Token) { k.Stamper = pki().Get(name) }
}

// names has the token name its stamper by a digest of a kind (0: SHA-256, left
// out as the default), and by issuer and number of e.
func names(hash crypto.Hash, e *trusttest.Entity) func(*trusttest.Token) {
	return func(k *trusttest.Token) {
		var algorithm, issuer []byte
		sum := digest(crypto.SHA256, k.Stamper.Certificate.Raw)
		switch hash {
		case crypto.SHA3_256:
			algorithm = trusttest.Sequence(trusttest.Encode(oid(2, 16, 840, 1, 101, 3, 4, 2, 8)))
		case crypto.SHA512:
			algorithm, sum = trusttest.HashID(hash), digest(hash, k.Stamper.Certificate.Raw)
		}
		if e != nil {
			directory := &trusttest.Node{ID: 0xa4, Children: []*trusttest.Node{trusttest.Tree(e.Certificate.RawIssuer)}}
			issuer = trusttest.Sequence(trusttest.Sequence(directory.DER()), trusttest.Encode(e.Certificate.SerialNumber))
		}
		k.Name = trusttest.Sequence(trusttest.Sequence(trusttest.Sequence(algorithm, trusttest.Encode(sum), issuer)))
	}
}

// sha1Signed is a token over a SHA-256 imprint whose signature is by way of SHA-1.
func sha1Signed(more []byte) func(*trusttest.Token) {
	return func(k *trusttest.Token) { k.Hash, k.Info = crypto.SHA1, tstInfo(k, more) }
}

// shortStamper has a key of 1024 bits.
func shortStamper() *trusttest.Entity {
	template := *pki().Get(trusttest.Stamper).Certificate
	template.SerialNumber, template.SubjectKeyId, template.SignatureAlgorithm, template.PublicKey = nil, nil, 0, nil
	template.ExtraExtensions, template.ExtKeyUsage = template.Extensions, nil
	template.Extensions = nil
	short, err := trusttest.Issue("stamper-short", template, pki().Get(trusttest.RSA1024).Key, pki().Get(trusttest.TimeRoot))
	if err != nil {
		panic(err)
	}
	return short
}

// pki is the hierarchy, for functions of tables.
func pki() *trusttest.PKI { return trusttest.New(new(testing.B)) }

func stampCases() []stampCase {
	p := pki()
	return []stampCase{
		{name: "good", want: core.Trusted},
		{name: "by an elliptic key", token: by(trusttest.StamperEC), want: core.Trusted},
		{name: "SHA-384", token: func(k *trusttest.Token) { k.Hash = crypto.SHA384 }, want: core.Trusted},
		{name: "named by SHA-1, as before RFC 5816", token: func(k *trusttest.Token) { k.Old = true }, want: core.Trusted},
		{name: "with accuracy", token: info(func(k *trusttest.Token) []byte {
			return tstInfo(k, []byte{0x30, 10, 2, 1, 1, 0x80, 2, 1, 0xf4, 0x81, 1, 7})
		}), want: core.Trusted},
		{name: "with accuracy, ordering, nonce and name", token: info(func(k *trusttest.Token) []byte {
			return tstInfo(k, []byte{0x30, 3, 2, 1, 1}, []byte{1, 1, 0xff}, []byte{2, 1, 9}, []byte{0xa0, 3, 0x82, 1, 'a'})
		}), want: core.Trusted},
		{name: "with an extension", token: info(func(k *trusttest.Token) []byte {
			return tstInfo(k, append([]byte{0xa1, 10}, trusttest.Encode(pkixExtension{oid(1, 2, 3), false, []byte{5, 0}})...))
		}), want: core.Trusted},
		{name: "with a fraction of a second", token: at(text(24, p.Now.Add(-time.Hour).Format("20060102150405.123Z"))), want: core.Trusted},
		{name: "of an expired stamper, in time", token: func(k *trusttest.Token) {
			k.Stamper, k.At = p.Get(trusttest.StamperOld), p.Now.Add(-2*year)
		}, want: core.Trusted},

		// Whose it is.
		{name: "of an expired stamper, too late", token: by(trusttest.StamperOld), want: core.Untrusted, reason: "had expired"},
		{name: "of nobody's stamper", token: by(trusttest.StamperStray), want: core.Untrusted, reason: "leads to no configured root"},
		{name: "of a code signer", token: by(trusttest.Good), want: core.Untrusted, reason: "not for time-stamps"},
		{name: "of a code signer below the time root", token: by(trusttest.StamperIsCode), want: core.Untrusted, reason: "not for time-stamps"},
		{name: "of the signer", token: by(trusttest.GoodEC), want: core.Untrusted, reason: "not for time-stamps"},
		{name: "of one that also signs code", token: by(trusttest.StamperBoth), want: core.Untrusted, reason: "not for time-stamps"},
		{name: "of one whose usage is not critical", token: by(trusttest.StamperSoft), want: core.Trusted},
		{name: "of a CA", token: by(trusttest.TimeRoot), want: core.Untrusted, reason: "certificate authority"},
		{name: "of a root called alike", token: by(trusttest.StrangerRoot), want: core.Untrusted},

		// When.
		{name: "from the future", token: func(k *trusttest.Token) { k.At = p.Now.Add(24 * time.Hour) }, want: core.Untrusted, reason: "not come yet"},
		{name: "from before the stamper", token: func(k *trusttest.Token) { k.At = p.Now.Add(-12 * year) }, want: core.Untrusted, reason: "not valid yet"},
		{name: "local time", token: at(text(24, "20250101120000")), err: cms.ErrMalformed},
		{name: "another time zone", token: at(text(24, "20250101120000+0100")), err: cms.ErrMalformed},
		{name: "without seconds", token: at(text(24, "202501011200Z")), err: cms.ErrMalformed},
		{name: "of month 13", token: at(text(24, "20251301120000Z")), err: cms.ErrMalformed},
		{name: "as UTCTime", token: at(text(23, "250101120000Z")), err: cms.ErrMalformed},
		{name: "as a number", token: at(trusttest.Encode(20250101)), err: cms.ErrMalformed},
		{name: "inaccurate to an hour", token: info(func(k *trusttest.Token) []byte {
			return tstInfo(k, []byte{0x30, 4, 2, 2, 0x0e, 0x10})
		}), want: core.Untrusted, reason: "too inaccurate"},
		{name: "inaccurate below zero", token: info(func(k *trusttest.Token) []byte {
			return tstInfo(k, []byte{0x30, 3, 2, 1, 0xff})
		}), want: core.Untrusted, reason: "too inaccurate"},
		{name: "inaccurate to 2000 milliseconds", token: info(func(k *trusttest.Token) []byte {
			return tstInfo(k, []byte{0x30, 4, 0x80, 2, 0x07, 0xd0})
		}), want: core.Untrusted, reason: "too inaccurate"},

		// Of what.
		{name: "of another signature", token: func(k *trusttest.Token) { k.Over = []byte("another") }, err: cms.ErrForged},
		{name: "of the content", token: func(k *trusttest.Token) { k.Over = []byte("program") }, err: cms.ErrForged},
		{name: "of nothing", token: func(k *trusttest.Token) { k.Over = nil }, err: cms.ErrForged},
		{name: "of a digest cut short", token: info(func(k *trusttest.Token) []byte {
			return trusttest.TSTInfo(trusttest.HashID(crypto.SHA256), digest(crypto.SHA256, k.Over)[:31], trusttest.GeneralizedTime(k.At))
		}), err: cms.ErrForged},
		{name: "of an empty digest", token: info(func(k *trusttest.Token) []byte {
			return trusttest.TSTInfo(trusttest.HashID(crypto.SHA256), nil, trusttest.GeneralizedTime(k.At))
		}), err: cms.ErrForged},
		{name: "of a digest by another algorithm than it says", token: info(func(k *trusttest.Token) []byte {
			return trusttest.TSTInfo(trusttest.HashID(crypto.SHA512), digest(crypto.SHA256, k.Over), trusttest.GeneralizedTime(k.At))
		}), err: cms.ErrForged},
		{name: "of a SHA-1 imprint", token: info(func(k *trusttest.Token) []byte {
			return trusttest.TSTInfo(trusttest.HashID(crypto.SHA1), digest(crypto.SHA1, k.Over), trusttest.GeneralizedTime(k.At))
		}), want: core.Untrusted, reason: "can be forged"},
		{name: "signed with SHA-1, as Apple's", token: sha1Signed([]byte{2, 9, 0, 0xff, 2, 3, 4, 5, 6, 7, 8}), want: core.Trusted},
		{name: "signed with SHA-1, with the longest nonce", token: sha1Signed(append([]byte{2, 17, 0}, bytes.Repeat([]byte{0xff}, 16)...)), want: core.Trusted},
		{name: "signed with SHA-1, with room for a collision", token: sha1Signed(append([]byte{2, 17}, bytes.Repeat([]byte{1}, 17)...)), want: core.Untrusted, reason: "can be forged"},
		{name: "signed with SHA-1, with a collision's block", token: sha1Signed(append([]byte{2, 64}, bytes.Repeat([]byte{1}, 64)...)), want: core.Untrusted, reason: "can be forged"},
		{name: "signed with SHA-1, with an extension", token: sha1Signed(append([]byte{0xa1, 10}, trusttest.Encode(pkixExtension{oid(1, 2, 3), false, []byte{5, 0}})...)), want: core.Untrusted, reason: "can be forged"},
		{name: "signed with SHA-1 by a short key", token: func(k *trusttest.Token) { sha1Signed(nil)(k); k.Stamper = shortStamper() }, want: core.Untrusted, reason: "RSA key of 1024 bits"},
		{name: "signed with SHA-1 over SHA-1", token: func(k *trusttest.Token) {
			k.Hash, k.Info = crypto.SHA1, trusttest.TSTInfo(trusttest.HashID(crypto.SHA1), digest(crypto.SHA1, k.Over), trusttest.GeneralizedTime(k.At))
		}, want: core.Untrusted, reason: "can be forged"},
		{name: "of an unknown imprint", token: info(func(k *trusttest.Token) []byte {
			return trusttest.TSTInfo([]byte{0x30, 4, 6, 2, 0x2a, 3}, digest(crypto.SHA256, k.Over), trusttest.GeneralizedTime(k.At))
		}), err: cms.ErrUnsupported},

		// What it says of itself.
		{name: "names itself by SHA-512", token: names(crypto.SHA512, nil), want: core.Trusted},
		{name: "names itself by issuer and number too", token: names(0, p.Get(trusttest.Stamper)), want: core.Trusted},
		{name: "names another number", token: names(0, p.Get(trusttest.StamperOld)), err: cms.ErrForged},
		{name: "names another issuer", token: names(0, p.Get(trusttest.Good)), err: cms.ErrForged},
		{name: "names itself by an unknown digest", token: names(crypto.SHA3_256, nil), err: cms.ErrUnsupported},
		{name: "names itself unreadably", token: func(k *trusttest.Token) { k.Name = trusttest.Encode("me") }, err: cms.ErrMalformed},
		{name: "names nobody in particular", token: func(k *trusttest.Token) { k.Name = []byte{0x30, 2, 0x30, 0} }, err: cms.ErrMalformed},
		{name: "named by SHA-1 unreadably", token: func(k *trusttest.Token) { k.Old, k.Name = true, trusttest.Encode("me") }, err: cms.ErrMalformed},
		{name: "names no certificate", token: func(k *trusttest.Token) { k.Nobody = true }, err: cms.ErrMalformed},
		{name: "names another certificate", token: func(k *trusttest.Token) { k.Names = p.Get(trusttest.StamperOld) }, err: cms.ErrForged},
		{name: "names another certificate by SHA-1", token: func(k *trusttest.Token) { k.Names, k.Old = p.Get(trusttest.StamperOld), true }, err: cms.ErrForged},
		{name: "critical extension", token: info(func(k *trusttest.Token) []byte {
			return tstInfo(k, append([]byte{0xa1, 13}, trusttest.Encode(pkixExtension{oid(1, 2, 3), true, []byte{5, 0}})...))
		}), want: core.Untrusted, reason: "not understood"},
		{name: "version 2", token: info(func(k *trusttest.Token) []byte {
			n := trusttest.Tree(tstInfo(k))
			n.At(0).Body = []byte{2}
			return n.DER()
		}), err: cms.ErrMalformed},
		{name: "something behind TSTInfo", token: info(func(k *trusttest.Token) []byte { return append(tstInfo(k), 5, 0) }), err: cms.ErrMalformed},
		{name: "no TSTInfo", token: info(func(*trusttest.Token) []byte { return []byte("now") }), err: cms.ErrMalformed},
		{name: "empty TSTInfo", token: info(func(*trusttest.Token) []byte { return []byte{0x30, 0} }), err: cms.ErrMalformed},
		{name: "content of another type", token: func(k *trusttest.Token) { k.Type = trusttest.OIDData }, err: cms.ErrMalformed},

		// The token as a signature.
		{name: "time changed", change: func(f *trusttest.Forgery) {
			f.Content().At(1, 0).Body = bytes.Replace(f.Content().At(1, 0).Body, []byte("20"), []byte("19"), 1)
		}, err: cms.ErrForged},
		{name: "signature changed", change: func(f *trusttest.Forgery) { f.Value().Body[8] ^= 1 }, err: cms.ErrForged},
		{name: "attributes stripped", change: func(f *trusttest.Forgery) { f.Signer().Remove(3) }, err: cms.ErrMalformed},
		{name: "two signers", change: func(f *trusttest.Forgery) { f.Signers().Add(f.Signer().Clone()) }, err: cms.ErrMalformed},
		{name: "certificate left out", change: func(f *trusttest.Forgery) { f.Certificates().Remove(0) }, err: cms.ErrMalformed},
		{name: "detached", change: func(f *trusttest.Forgery) { f.Content().Remove(1) }, err: cms.ErrMalformed},
		{name: "content of another kind", change: func(f *trusttest.Forgery) { f.Content().At(1, 0).ID = asn1.TagUTF8String }, err: cms.ErrMalformed},
		{name: "content type relabelled", change: func(f *trusttest.Forgery) {
			f.Content().Children[0] = trusttest.Tree(trusttest.Encode(trusttest.OIDData))
		}, err: cms.ErrMalformed},
		{name: "certificate of the same key", change: func(f *trusttest.Forgery) {
			// Stamper, StamperOld and Good share a key: the signature verifies
			// under each, and only the attribute says whose it is.
			old := p.Get(trusttest.StamperOld).Certificate
			f.Certificates().Children[0] = trusttest.Tree(old.Raw)
			f.Signer().At(1).Children[1] = trusttest.Tree(trusttest.Encode(old.SerialNumber))
		}, err: cms.ErrForged},
	}
}

type pkixExtension struct {
	ID       asn1.ObjectIdentifier
	Critical bool `asn1:"optional"`
	Value    []byte
}

func oid(id ...int) asn1.ObjectIdentifier { return id }

// make builds the token over a signature value.
func (tc stampCase) make(value []byte) []byte {
	p := pki()
	k := trusttest.Token{Stamper: p.Get(trusttest.Stamper), Over: value, At: p.Now.Add(-time.Hour)}
	if tc.token != nil {
		tc.token(&k)
	}
	der := k.DER()
	if tc.change != nil {
		f := trusttest.Take(der)
		tc.change(f)
		der = f.DER()
	}
	return der
}

func TestTokens(t *testing.T) {
	for _, id := range []asn1.ObjectIdentifier{trusttest.OIDMicrosoftToken, trusttest.OIDToken} {
		for _, tc := range stampCases() {
			t.Run(tc.name, func(t *testing.T) {
				s, others := stamped(t, func(value []byte, f *trusttest.Forgery) { f.AddUnsigned(id, tc.make(value)) })
				expect(t, s, others, "rfc3161", tc)
			})
		}
	}
}

func expect(t *testing.T, s *cms.Signer, others []*x509.Certificate, kind string, tc stampCase) {
	t.Helper()
	stamp, present, err := timestamp.Of(s, others, pki().Anchors())
	if !present || !errors.Is(err, tc.err) {
		t.Fatalf("present %v, error %v, want %v", present, err, tc.err)
	}
	if tc.err != nil {
		return
	}
	if stamp.Verdict.Standing != tc.want || !strings.Contains(stamp.Verdict.Reason, tc.reason) || stamp.Verdict.Reason == "" {
		t.Errorf("%v: %s, want %v: %s", stamp.Verdict.Standing, stamp.Verdict.Reason, tc.want, tc.reason)
	}
	if stamp.Kind != kind || stamp.At.IsZero() || stamp.At.Location() != time.UTC {
		t.Errorf("%s at %v", stamp.Kind, stamp.At)
	}
}

func TestNone(t *testing.T) {
	s, others := stamped(t, nil)
	if _, present, err := timestamp.Of(s, others, pki().Anchors()); present || err != nil {
		t.Errorf("%v, %v", present, err)
	}
	// The signer's own word is no time-stamp.
	p := pki()
	d, err := cms.Parse(trusttest.Sign(trusttest.Message{Signer: p.Get(trusttest.GoodEC), Content: []byte("program"),
		Attributes: [][]byte{trusttest.Attribute(trusttest.OIDSigningTime, trusttest.Encode(p.Now))}}))
	if err != nil {
		t.Fatal(err)
	}
	if s, err = d.Verify(nil); err != nil {
		t.Fatal(err)
	}
	if _, present, err := timestamp.Of(s, others, p.Anchors()); present || err != nil {
		t.Errorf("%v, %v", present, err)
	}
}

// Anyone can add time-stamps: a good one is not spoilt by those of strangers,
// and a broken one is not hidden by good ones.
func TestSeveralStamps(t *testing.T) {
	p := pki()
	hour := p.Now.Add(-time.Hour)
	token := func(name string) func([]byte) []byte {
		return func(v []byte) []byte { return trusttest.Token{Stamper: p.Get(name), Over: v, At: hour}.DER() }
	}
	good, stray := token(trusttest.Stamper), token(trusttest.StamperStray)
	legacy := func(v []byte) []byte {
		return trusttest.Countersignature(p.Get(trusttest.Stamper), v, hour.Add(-time.Hour), crypto.SHA256)
	}
	broken := stampCase{change: func(f *trusttest.Forgery) { f.Value().Body[8] ^= 1 }}.make
	unknown := stampCase{token: info(func(k *trusttest.Token) []byte {
		return trusttest.TSTInfo([]byte{0x30, 4, 6, 2, 0x2a, 3}, nil, trusttest.GeneralizedTime(k.At))
	})}.make
	type add struct {
		id   asn1.ObjectIdentifier
		make func([]byte) []byte
	}
	for _, tc := range []struct {
		name string
		adds []add
		kind string
		err  error
		want core.Standing
	}{
		{"a stranger's first", []add{{trusttest.OIDMicrosoftToken, stray}, {trusttest.OIDMicrosoftToken, good}}, "rfc3161", nil, core.Trusted},
		{"a stranger's last", []add{{trusttest.OIDMicrosoftToken, good}, {trusttest.OIDToken, stray}}, "rfc3161", nil, core.Trusted},
		{"a stranger's, and an old one", []add{{trusttest.OIDMicrosoftToken, stray}, {trusttest.OIDCountersign, legacy}}, "legacy", nil, core.Trusted},
		{"strangers' only", []add{{trusttest.OIDMicrosoftToken, stray}, {trusttest.OIDToken, stray}}, "rfc3161", nil, core.Untrusted},
		{"an unknown one first", []add{{trusttest.OIDMicrosoftToken, unknown}, {trusttest.OIDToken, good}}, "rfc3161", nil, core.Trusted},
		{"a broken one last", []add{{trusttest.OIDMicrosoftToken, good}, {trusttest.OIDToken, broken}}, "", cms.ErrForged, 0},
		{"a broken one behind an old one", []add{{trusttest.OIDCountersign, legacy}, {trusttest.OIDToken, broken}}, "", cms.ErrForged, 0},
		{"too many", []add{{trusttest.OIDToken, good}, {trusttest.OIDToken, good}, {trusttest.OIDToken, good}, {trusttest.OIDToken, good}, {trusttest.OIDToken, good}}, "", cms.ErrMalformed, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s, others := stamped(t, func(value []byte, f *trusttest.Forgery) {
				for _, a := range tc.adds {
					f.AddUnsigned(a.id, a.make(value))
				}
			})
			expect(t, s, others, tc.kind, stampCase{err: tc.err, want: tc.want})
		})
	}
}
