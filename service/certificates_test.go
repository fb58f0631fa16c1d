package service

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kpm/core"
	"kpm/core/port"
	"kpm/platform/none"
	"kpm/settings"
	"kpm/trust"
)

// shelf is a file system on which everything is Protected, or nothing.
type shelf struct {
	port.Files
	err     error
	written string
}

func (s *shelf) LocateProtected(path string) (*os.File, error) {
	if s.err != nil {
		return nil, s.err
	}
	return os.Open(path)
}

func (s *shelf) Inspect(f *os.File) (port.FileInfo, error) {
	info, err := f.Stat()
	if err != nil {
		return port.FileInfo{}, err
	}
	return port.FileInfo{Regular: info.Mode().IsRegular()}, nil
}

func (s *shelf) Open(f *os.File) (*os.File, error) { return os.Open(f.Name()) }

func (s *shelf) Replace(path string, data []byte, perm os.FileMode) error {
	s.written = fmt.Sprintf("%s %o %s", path, perm, data)
	return nil
}

// newService is as much of a service as has certificates.
func newService(t *testing.T, root string, change func(*settings.App)) (*service, *shelf, *lines) {
	t.Helper()
	var log lines
	files := &shelf{}
	s := &service{
		layout: settings.At(root, ""), log: slog.New(slog.NewTextHandler(&log, nil)),
		host: port.Host{Files: files, Certificates: none.CertificateStore{}},
	}
	change(&s.app)
	t.Cleanup(func() {
		if err := s.stop(t.Context()); err != nil {
			t.Error(err)
		}
	})
	return s, files, &log
}

// certify does what a start does about certificates.
func certify(t *testing.T, s *service) error {
	s.ahead.certificate = begin(s, s.makeCertificate, func(context.Context, *trust.ServerCertificate) error { return nil })
	return s.startCertificates(t.Context(), Options{})
}

func TestTheServiceMakesItsOwnCertificate(t *testing.T) {
	s, files, _ := newService(t, "/agent", func(*settings.App) {})
	if err := certify(t, s); err != nil {
		t.Fatal(err)
	}
	if err := s.certificate.Renew(); err != nil {
		t.Error(err)
	}
	if s.clients != nil {
		t.Error("administrators need client certificates, and nobody has asked for them")
	}
	if want := filepath.Join("/agent", "run", "ca.pem") + " 644 -----BEGIN CERTIFICATE-----"; !strings.HasPrefix(files.written, want) {
		t.Errorf("published %.80q, expected %q", files.written, want)
	}
}

// The service starts whatever the settings say, says what is wrong, and has no
// certificate for its TLS ports.
func TestCertificatesThatTheServiceCannotUse(t *testing.T) {
	dir := t.TempDir()
	for what, tc := range map[string]struct {
		app  settings.App
		err  error
		says []string
	}{
		"no key":         {settings.App{CertificateFile: "a"}, nil, []string{"without Settings:CertificateKeyPath"}},
		"no certificate": {settings.App{CertificateKey: "a"}, nil, []string{"without Settings:CertificatePath"}},
		"both":           {settings.App{CertificateFile: "a", CertificateKey: "b", CertificateThumbprint: "00"}, nil, []string{"are both set", "remove one"}},
		"no store":       {settings.App{CertificateThumbprint: "aa"}, nil, []string{"Settings:CertificateThumbprint is aa", "Settings:CertificatePath"}},
		"missing":        {settings.App{CertificateFile: "Certs/a.pem", CertificateKey: "/b"}, nil, []string{filepath.Join(dir, "Certs", "a.pem"), "no such file"}},
		"not protected":  {settings.App{CertificateFile: "a", CertificateKey: "b"}, core.ErrNotProtected, []string{"not protected"}},
		"a directory":    {settings.App{CertificateFile: dir, CertificateKey: dir}, nil, []string{"not a regular file"}},
	} {
		s, files, log := newService(t, dir, func(a *settings.App) { *a = tc.app })
		files.err = tc.err
		if err := certify(t, s); err != nil {
			t.Errorf("%s: the service does not start: %v", what, err)
		}
		if err := s.certificate.Renew(); !errors.Is(err, trust.ErrNoCertificate) {
			t.Errorf("%s: %v", what, err)
		}
		if files.written != "" {
			t.Errorf("%s: clients are told to trust %q", what, files.written)
		}
		for _, text := range append(tc.says, "level=ERROR", "the local sockets serve") {
			if !strings.Contains(log.String(), text) {
				t.Errorf("%s: the log does not say %q:\n%s", what, text, log)
			}
		}
	}
}

// Who cannot be checked is not let in: an authority that cannot be read leaves
// no administrators, and the service runs.
func TestAClientAuthorityThatCannotBeRead(t *testing.T) {
	dir := t.TempDir()
	s, _, log := newService(t, dir, func(a *settings.App) { a.ClientCA = "clients.pem" })
	if err := certify(t, s); err != nil {
		t.Fatal(err)
	}
	if s.clients == nil {
		t.Fatal("the requirement is forgotten")
	}
	if err := s.clients.Verify(nil); err == nil || !strings.Contains(err.Error(), filepath.Join(dir, "clients.pem")) {
		t.Errorf("%v", err)
	}
	if !strings.Contains(log.String(), "nobody reaches tier Admin") {
		t.Errorf("the log says nothing:\n%s", log)
	}
}
