package admincli

import (
	"context"
	"time"

	"kpm/core/metrics"
	"kpm/core/view"
	"kpm/launcher/journal"
)

// Metrics implements api.Observed.
func (r *answers) Metrics() []byte {
	var p metrics.Page
	p.Gauge("kpm_healthy", "Whether", 1)
	return p.Text()
}

// Overview implements api.Observed.
func (r *answers) Overview() view.Overview {
	now := time.Now().UTC()
	return view.Overview{
		Version: "1.2.3", Root: "/agent", ProcessID: 812, UptimeSeconds: 3661, HTTP: 6888, HTTPS: 6889, Open: 2,
		Certificate: &view.ServedCertificate{Subject: "CN=host.example", Issuer: "CN=host.example", NotAfter: time.Date(2027, 1, 2, 3, 4, 5, 0, time.Local)},
		Journal:     view.JournalState{First: 1, Last: 40, Segments: 1, Writable: true, Signed: 38, SignedAt: now.Add(-time.Minute)},
	}
}

// Audit implements api.Observed.
func (r *answers) Audit(context.Context, journal.Query) (journal.Found, error) {
	return journal.Found{}, nil
}
