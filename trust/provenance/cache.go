package provenance

import (
	"time"

	"kpm/core"
)

// maxCached bounds the cache, in files.
const maxCached = 1024

// maxAge is how long a verdict is believed without another look at
// certificates and revocation.
const maxAge = time.Hour

// verdict is what is remembered about a Protected file.
type verdict struct {
	provenance core.Provenance
	stamp      string // of the package databases
	until      time.Time
}

// holds reports whether v still is the verdict.
func (v *verdict) holds(stamp string, now time.Time) bool {
	return now.Before(v.until) && v.stamp == stamp
}

// validUntil is when a verdict may change by the passing of time: when a
// certificate of trusted evidence ends, and after maxAge in any case.
func validUntil(p core.Provenance, now time.Time) time.Time {
	until := now.Add(maxAge)
	for _, e := range p.Evidence {
		if e.Standing != core.Trusted || !e.SignedAt.IsZero() {
			continue
		}
		for _, certificate := range e.Chain {
			if certificate.NotAfter.Before(until) {
				until = certificate.NotAfter
			}
		}
	}
	return until
}
