package service

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"kpm/core"
	"kpm/trust"
)

// startCertificates makes what the TLS listeners show and, if administrators
// need client certificates, reads who issues them. Without a usable certificate
// the service starts all the same: its TLS ports wait for one, as they would
// for a busy port (decision 3), and its local sockets serve.
func (s *service) startCertificates(ctx context.Context, _ Options) error {
	var err error
	if s.certificate, err = s.ahead.certificate.take(); err != nil {
		return err
	}
	renewing, stop := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.certificate.Run(renewing)
	}()
	s.onStop(func(context.Context) error {
		stop()
		<-ended
		return nil
	})
	if s.app.ClientCA != "" {
		if s.clients, err = trust.LoadClientAuthority(s.inRoot(s.app.ClientCA), s.openProtected); err != nil {
			s.log.Error("nobody reaches tier Admin until this is fixed and the service restarted", "error", err)
		}
	}
	return nil
}

// makeCertificate makes the first. That there is none has been logged then, and is no
// error.
func (s *service) makeCertificate() (*trust.ServerCertificate, error) {
	certificate := trust.NewServerCertificate(trust.ServerConfig{
		Source: s.certificateSource(),
		Publish: func(anchors []byte) error {
			return s.host.Files.Replace(s.layout.CA(), anchors, 0o644)
		},
		Log: s.log.With("component", "trust"),
	})
	_ = certificate.Renew()
	return certificate, nil
}

// certificateSource is what the settings name. Settings that contradict each
// other name nothing: one of two certificates must not be shown by chance.
func (s *service) certificateSource() trust.Source {
	files := s.app.CertificateFile != "" || s.app.CertificateKey != ""
	switch {
	case files && s.app.CertificateThumbprint != "":
		return trust.NoSource(errors.New("Settings:CertificatePath and Settings:CertificateThumbprint are both set; remove one"))
	case files && s.app.CertificateKey == "":
		return trust.NoSource(errors.New("Settings:CertificatePath is set without Settings:CertificateKeyPath; name the file of the private key"))
	case files && s.app.CertificateFile == "":
		return trust.NoSource(errors.New("Settings:CertificateKeyPath is set without Settings:CertificatePath; name the file of the certificate chain"))
	case files:
		return trust.Files(trust.CertificateFiles{
			Certificate: s.inRoot(s.app.CertificateFile), Key: s.inRoot(s.app.CertificateKey),
			Open: s.openProtected, Private: s.host.Files.Private,
		})
	case s.app.CertificateThumbprint != "":
		return trust.FromStore(s.host.Certificates, s.app.CertificateThumbprint)
	}
	return trust.Loopback()
}

// inRoot is a path that the settings name: absolute, or relative to the agent
// root.
func (s *service) inRoot(path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(s.layout.Root(), path)
}

// openProtected opens a regular file that administrators alone can change, and
// that nobody can put another in the place of.
func (s *service) openProtected(path string) (*os.File, error) {
	handle, err := s.host.Files.LocateProtected(path)
	if err != nil {
		return nil, err
	}
	defer handle.Close()
	info, err := s.host.Files.Inspect(handle)
	if err != nil {
		return nil, err
	}
	if !info.Regular {
		return nil, fmt.Errorf("%s: %w", path, core.ErrNotRegular)
	}
	return s.host.Files.Open(handle)
}
