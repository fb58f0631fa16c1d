package service

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"time"

	"kpm/api"
	"kpm/core/view"
	"kpm/launcher/journal"
)

// observed is what can be seen of the service, for the API.
type observed struct{ *service }

var _ api.Observed = observed{}

// Audit implements api.Observed.
func (o observed) Audit(ctx context.Context, q journal.Query) (journal.Found, error) {
	return journal.Search(ctx, o.layout.Audit(), q)
}

// Overview implements api.Observed.
func (o observed) Overview() view.Overview {
	kept := o.journal.Stats()
	shown := view.Overview{
		Version: o.version, Root: o.layout.Root(), ProcessID: o.host.Tree.Self().PID,
		StartedAt: o.started.UTC(), UptimeSeconds: time.Since(o.started).Seconds(),
		HTTP: o.http.Held(), HTTPS: o.https.Held(), MQTT: o.mqtt.Held(), Open: o.launcher.Stats().Open,
		Journal: view.JournalState{
			First: kept.First, Last: kept.Last, Segments: kept.Segments, Writable: true, Signed: kept.Signed, SignedAt: kept.SignedAt.UTC(),
		},
	}
	programs := o.execution.State()
	shown.Executions = view.Executions{On: programs.On, Needed: programs.Needed, Running: programs.Running, Fault: programs.Why}
	if err := o.journal.Room(); err != nil {
		shown.Journal.Writable, shown.Journal.Fault = false, err.Error()
	}
	if leaf := o.certificate.Leaf(); leaf != nil {
		digest := sha256.Sum256(leaf.Raw)
		shown.Certificate = &view.ServedCertificate{
			Subject: leaf.Subject.String(), Issuer: leaf.Issuer.String(),
			NotBefore: leaf.NotBefore.UTC(), NotAfter: leaf.NotAfter.UTC(), SHA256: hex.EncodeToString(digest[:]),
		}
	}
	return shown
}
