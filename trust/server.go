package trust

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// ErrNoCertificate is wrapped while there is nothing that TLS listeners could
// show.
var ErrNoCertificate = errors.New("no certificate for TLS")

const (
	// overlap is how long clients that opened run/ca.pem in the middle of a
	// change, and so were shown either certificate, find both anchors in it.
	overlap = time.Minute
	// retryCheck is how soon a handshake tries again what has just failed.
	// Handshakes are strangers' to make.
	retryCheck = time.Second
	// warnBefore is how long before its end a certificate that does not renew
	// itself is spoken of.
	warnBefore = 14 * 24 * time.Hour
)

// Source is where the certificate of the TLS listeners comes from: Loopback,
// Files or FromStore.
type Source interface {
	// renew returns what is to be shown at now: shown itself, which is nil at
	// first, if it stays. It changes nothing.
	renew(now time.Time, shown *credential) (*credential, error)
	// every is how often renew is to be asked.
	every() time.Duration
}

// credential is a certificate with its key, and what clients trust for it.
type credential struct {
	certificate tls.Certificate // with Leaf
	anchor      *x509.Certificate
	// from and until are when its source wants it shown; it is valid longer.
	from, until time.Time
	// next is what will follow, if that is known: published along, so that
	// clients who read run/ca.pem now verify it when its time comes.
	next *credential
	// digest tells apart what credentials were read from.
	digest [sha256.Size]byte
	// warnings are what its owner should know.
	warnings []string
}

// current reports whether c's source wants it shown at now. All comparisons are
// of the wall clock, since clients judge validity by it: the monotonic clock
// does not see that a clock was set, nor, on Linux, that the machine slept.
func (c *credential) current(now time.Time) bool {
	now = now.Round(0)
	return c != nil && !now.Before(c.from) && now.Before(c.until)
}

// valid reports whether clients would accept c at now.
func (c *credential) valid(now time.Time) bool {
	now = now.Round(0)
	return c != nil && !now.Before(c.certificate.Leaf.NotBefore) && !now.After(c.certificate.Leaf.NotAfter)
}

// anchors returns what clients of c trust, now and next.
func (c *credential) anchors() []*x509.Certificate {
	var list []*x509.Certificate
	for ; c != nil; c = c.next {
		list = append(list, c.anchor)
	}
	return list
}

// ServerConfig is what a ServerCertificate needs. Now may be nil, which is
// time.Now; the rest is required.
type ServerConfig struct {
	Source Source
	// Publish replaces what clients are to trust, PEM: run/ca.pem. When it
	// returns, whoever opens that sees it.
	Publish func(anchors []byte) error
	Now     func() time.Time
	Log     *slog.Logger
}

// ServerCertificate is what the TLS listeners of this machine show, now and
// later. A change reaches the clients' file first, then new handshakes;
// established connections keep what they were made with.
type ServerCertificate struct {
	cfg   ServerConfig
	shown atomic.Pointer[credential]

	mu       sync.Mutex  // held while a change is under way
	previous *credential // still published, until overlap has passed
	replaced time.Time
	failed   time.Time // when renewing failed last
	fault    string    // and why, so that it is said once
	warned   *credential
}

// NewServerCertificate returns a certificate that shows nothing before Renew.
func NewServerCertificate(cfg ServerConfig) *ServerCertificate {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &ServerCertificate{cfg: cfg}
}

// Run renews until ctx is done.
func (s *ServerCertificate) Run(ctx context.Context) {
	ticker := time.NewTicker(s.cfg.Source.every())
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			_ = s.Renew() // it has been logged, and the next time comes
		}
	}
}

// Renew shows what the source now wants shown. If that cannot be had or
// published, the last good one stays, and the log says so; it is an error only
// if there is none, or its time is over.
func (s *ServerCertificate) Renew() error {
	_, err := s.renew()
	return err
}

func (s *ServerCertificate) renew() (*credential, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now, shown := s.cfg.Now(), s.shown.Load()
	next, err := s.cfg.Source.renew(now, shown)
	switch {
	case err == nil && next != shown:
		err = s.replace(shown, next)
	case err == nil && s.previous != nil && time.Since(s.replaced) >= overlap:
		if err = s.publish(shown.anchors()); err == nil {
			s.previous = nil
		}
	}
	s.note(err)
	shown = s.shown.Load()
	s.warn(now, shown)
	if shown.valid(now) {
		return shown, nil
	}
	return nil, fmt.Errorf("trust: %w: %w", ErrNoCertificate, errors.Join(err, outOfTime(shown)))
}

func outOfTime(c *credential) error {
	if c == nil {
		return nil
	}
	leaf := c.certificate.Leaf
	return fmt.Errorf("the last one is valid from %s to %s only", leaf.NotBefore.Format(time.RFC3339), leaf.NotAfter.Format(time.RFC3339))
}

// replace publishes what clients must trust for both before it shows next: a
// client that reads the file at any moment can verify whatever it is shown.
func (s *ServerCertificate) replace(shown, next *credential) error {
	if err := s.publish(append(next.anchors(), shown.anchors()...)); err != nil {
		return err
	}
	s.shown.Store(next)
	s.previous, s.replaced = shown, time.Now()
	leaf := next.certificate.Leaf
	digest := sha256.Sum256(leaf.Raw)
	s.cfg.Log.Info("TLS certificate", "subject", leaf.Subject.String(), "sha256", hex.EncodeToString(digest[:]), "until", leaf.NotAfter)
	for _, warning := range next.warnings {
		s.cfg.Log.Warn("TLS certificate: "+warning, "subject", leaf.Subject.String())
	}
	return nil
}

func (s *ServerCertificate) publish(anchors []*x509.Certificate) error {
	var file bytes.Buffer
	for i, c := range anchors {
		if !containsCertificate(anchors[:i], c) {
			_ = pem.Encode(&file, &pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}) // a Buffer takes everything
		}
	}
	if err := s.cfg.Publish(file.Bytes()); err != nil {
		return fmt.Errorf("publish what clients are to trust: %w", err)
	}
	return nil
}

func containsCertificate(list []*x509.Certificate, c *x509.Certificate) bool {
	for _, other := range list {
		if other.Equal(c) {
			return true
		}
	}
	return false
}

// note logs a fault when it appears and when it has gone.
func (s *ServerCertificate) note(err error) {
	fault := ""
	if err != nil {
		fault, s.failed = err.Error(), time.Now()
	}
	switch fault {
	case s.fault:
	case "":
		s.cfg.Log.Info("TLS certificate: the fault is fixed", "fault", s.fault)
	default:
		instead := "HTTPS and MQTT over TLS wait for it; the local sockets serve"
		if s.shown.Load() != nil {
			instead = "the last good certificate stays in use as long as it is valid"
		}
		s.cfg.Log.Error("TLS certificate", "error", err, "meanwhile", instead)
	}
	s.fault = fault
}

// warn speaks once of the end of a certificate that nothing will renew.
func (s *ServerCertificate) warn(now time.Time, shown *credential) {
	if shown == nil || shown.next != nil || s.warned == shown {
		return
	}
	if end := shown.certificate.Leaf.NotAfter; now.Round(0).Add(warnBefore).After(end) {
		s.warned = shown
		s.cfg.Log.Warn("TLS certificate ends soon; replace its files, they are read again without a restart", "until", end)
	}
}

// TLS returns a fresh configuration for a listener. The caller chooses
// NextProtos.
//
// TLS 1.2 and 1.3, and of 1.2 only what gives forward secrecy and authenticated
// encryption (RFC 9325, section 4.2). crypto/tls servers neither renegotiate
// nor accept early data. There are no session tickets: a resumed session would
// carry a certificate, and the client's, past the time when either was
// withdrawn (CVE-2025-68121), and a handshake on this machine costs less than a
// millisecond.
func (s *ServerCertificate) TLS() *tls.Config {
	return &tls.Config{
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return s.certificate() },
		MinVersion:     tls.VersionTLS12,
		MaxVersion:     tls.VersionTLS13,
		CipherSuites: []uint16{
			tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
			tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
			tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
		},
		SessionTicketsDisabled: true,
	}
}

// certificate is what a handshake shows. One that comes when the clock has
// jumped renews; a certificate out of its time is shown to nobody, not even to
// clients that would not look.
func (s *ServerCertificate) certificate() (*tls.Certificate, error) {
	now, shown := s.cfg.Now(), s.shown.Load()
	if shown.current(now) {
		return &shown.certificate, nil
	}
	if s.mayTry() {
		renewed, err := s.renew()
		if err != nil {
			return nil, err
		}
		return &renewed.certificate, nil
	}
	if !shown.valid(now) {
		return nil, fmt.Errorf("trust: %w", ErrNoCertificate)
	}
	return &shown.certificate, nil
}

// Leaf is the certificate that handshakes are shown; nil while there is none.
func (s *ServerCertificate) Leaf() *x509.Certificate {
	if shown := s.shown.Load(); shown.valid(s.cfg.Now()) {
		return shown.certificate.Leaf
	}
	return nil
}

func (s *ServerCertificate) mayTry() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failed.IsZero() || time.Since(s.failed) >= retryCheck
}
