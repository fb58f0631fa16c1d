package authenticode

import (
	"encoding/asn1"
	"encoding/base64"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"kpm/core"
	"kpm/trust/trusttest"
)

// legacyStamper answers as Authenticode's time-stampers did before RFC 3161:
// asked with a signature in base64, it signs that as data, with the time.
func legacyStamper(t *testing.T, stamper *trusttest.Entity, at time.Time) string {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(base64.NewDecoder(base64.StdEncoding, r.Body))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		request := parse(t, body) // TimeStampRequest { type, ContentInfo { data, [0] { OCTET STRING } } }
		answer := draft{signer: stamper, kind: idData, content: request.at(1, 1, 0), signed: []*node{
			attribute([]int{1, 2, 840, 113549, 1, 9, 5}, prim(asn1.TagUTCTime, []byte(at.UTC().Format("060102150405Z")))),
		}}
		w.Header().Set("Content-Type", "application/octet-stream") // or osslsigncode does not read it
		io.WriteString(w, base64.StdEncoding.EncodeToString(answer.der(t)))
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func TestCountersignaturesProveTheTimeToo(t *testing.T) {
	pki := trusttest.New(t)
	foreign := newPeer(t, pki)
	then := pki.Now.AddDate(0, -18, 0)
	for name, x := range map[string]struct {
		stamper string
		at      time.Time
		want    core.Standing
	}{
		"when the signer was valid":  {trusttest.Stamper, then, core.Trusted},
		"when the signer was not":    {trusttest.Stamper, pki.Now.Add(-time.Hour), core.Untrusted},
		"by a stranger":              {trusttest.StamperStray, then, core.Untrusted},
		"by somebody who signs code": {trusttest.StamperIsCode, then, core.Untrusted},
	} {
		url := legacyStamper(t, pki.Get(x.stamper), x.at)
		file := sign(t, pki.Get(trusttest.Expired), ".exe", victim.bytes(), "-t", url)
		_, evidence := verify(t, pki.Anchors(), file)
		if standing(evidence) != x.want {
			t.Errorf("%s: %+v", name, evidence)
		}
		if x.want == core.Trusted && (evidence[0].TimeStamp != "legacy" || !evidence[0].SignedAt.Equal(then)) {
			t.Errorf("%s: %s at %v, want %v", name, evidence[0].TimeStamp, evidence[0].SignedAt, then)
		}
		if accepted, printed := foreign.accepts(t, ".exe", file); accepted != (x.want == core.Trusted) {
			t.Errorf("%s: osslsigncode accepts: %v\n%s", name, accepted, printed)
		}
		file[textAt] ^= 1
		if _, evidence = verify(t, pki.Anchors(), file); standing(evidence) != core.Broken {
			t.Errorf("%s, changed: %+v", name, evidence)
		}
	}
}
