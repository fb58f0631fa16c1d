package api_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"kpm/api"
	"kpm/trust"
)

// ahead is a certificate on a clock of its own.
type ahead struct {
	*trust.ServerCertificate
	mu   sync.Mutex
	time time.Duration
	file string
}

func newAhead(t *testing.T) *ahead {
	t.Helper()
	a := &ahead{file: filepath.Join(t.TempDir(), "ca.pem")}
	a.ServerCertificate = trust.NewServerCertificate(trust.ServerConfig{
		Source: trust.Loopback(),
		Now: func() time.Time {
			a.mu.Lock()
			defer a.mu.Unlock()
			return time.Now().Add(a.time)
		},
		Publish: func(anchors []byte) error { return os.WriteFile(a.file, anchors, 0o644) },
		Log:     slog.New(slog.DiscardHandler),
	})
	if err := a.Renew(); err != nil {
		t.Fatal(err)
	}
	return a
}

func (a *ahead) pass(d time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.time += d
}

// A request that is under way when the certificate is renewed, and stock
// clients before and after, with the file of before.
func TestCurlAcrossARenewal(t *testing.T) {
	certificate := newAhead(t)
	p := newPlace(t, func(c *api.Config) { c.TLS = certificate.TLS() })
	port := portOf(t, p.tls)
	old := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(old, readFile(t, certificate.file), 0o644); err != nil {
		t.Fatal(err)
	}
	curl := func(file string) error {
		out, err := exec.Command("curl", "-sS", "--fail-with-body", "--noproxy", "*", "--cacert", file, "https://localhost:"+port+"/api/Jobs").CombinedOutput()
		if err != nil || !strings.Contains(string(out), `"id":"inventory"`) {
			return fmt.Errorf("curl: %w: %s", err, out)
		}
		return nil
	}
	if err := curl(old); err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(readFile(t, old))
	keep, err := tls.Dial("tcp", p.tls, &tls.Config{RootCAs: pool, ServerName: "localhost"})
	if err != nil {
		t.Fatal(err)
	}
	defer keep.Close()
	if got := get(t, keep, "/api/Jobs"); got != 200 {
		t.Fatal(got)
	}
	certificate.pass(31 * 24 * time.Hour)
	if err := curl(old); err != nil {
		t.Errorf("with the file of before: %v", err)
	}
	if err := curl(certificate.file); err != nil {
		t.Errorf("with the file of now: %v", err)
	}
	if bytes.Equal(readFile(t, old), readFile(t, certificate.file)) {
		t.Error("nothing was renewed")
	}
	if got := get(t, keep, "/api/Jobs"); got != 200 {
		t.Errorf("the connection of before: %d", got)
	}
	certificate.pass(61 * 24 * time.Hour)
	if err := curl(old); err == nil {
		t.Error("a file of long ago still serves")
	}
	if err := curl(certificate.file); err != nil {
		t.Error(err)
	}
}
