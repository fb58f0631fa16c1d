package timestamp_test

import (
	"crypto"
	"encoding/asn1"
	"testing"
	"time"

	"kpm/core"
	"kpm/trust/cms"
	"kpm/trust/timestamp"
	"kpm/trust/trusttest"
)

// FuzzOf: nothing panics, and no time is proven that the stamper of the seeds
// did not write.
func FuzzOf(f *testing.F) {
	p := pki()
	s, others := stamped(f, nil)
	for _, tc := range stampCases() {
		f.Add(true, tc.make(s.Signature))
	}
	f.Add(false, trusttest.Countersignature(p.Get(trusttest.Stamper), s.Signature, p.Now.Add(-time.Hour), crypto.SHA256))
	f.Fuzz(func(t *testing.T, token bool, der []byte) {
		id := trusttest.OIDToken
		if !token {
			id = trusttest.OIDCountersign
		}
		one := *s
		one.Unsigned = []cms.Attribute{{Type: id, Values: []asn1.RawValue{{FullBytes: der}}}}
		stamp, _, err := timestamp.Of(&one, others, p.Anchors())
		if err == nil && stamp.Verdict.Standing == core.Trusted && !genuine(stamp.At, p.Now) {
			t.Fatalf("%s at %v", stamp.Kind, stamp.At)
		}
	})
}

// genuine reports whether one of the seeds has this time.
func genuine(at, now time.Time) bool {
	for _, made := range []time.Time{now.Add(-time.Hour), now.Add(-2 * year)} {
		if d := at.Sub(made); d >= 0 && d < time.Second {
			return true
		}
	}
	return false
}

func BenchmarkOf(b *testing.B) {
	p := pki()
	for _, name := range []string{trusttest.Stamper, trusttest.StamperEC} {
		b.Run(name, func(b *testing.B) {
			s, others := stamped(b, func(value []byte, f *trusttest.Forgery) {
				f.AddUnsigned(trusttest.OIDToken, trusttest.Token{Stamper: p.Get(name), Over: value, At: p.Now}.DER())
			})
			a := p.Anchors()
			b.ReportAllocs()
			for b.Loop() {
				if stamp, _, err := timestamp.Of(s, others, a); err != nil || stamp.Verdict.Standing != core.Trusted {
					b.Fatal(err, stamp.Verdict.Reason)
				}
			}
		})
	}
}
