package provenance

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"time"

	"kpm/core"
	"kpm/trust/authenticode"
	"kpm/trust/chain"
	"kpm/trust/ima"
	"kpm/trust/openpgp"
)

// Sources name the files of whom this machine trusts, absolute ("Trust" of
// docs/settings.md).
type Sources struct {
	Roots, TimeStampRoots, AppleRoots []string
	FileCertificates, OpenPGPKeys     []string
	RevocationLists, Catalogs         []string
	Thumbprints                       []string // lower-case hex
}

// Empty reports whether they name nobody: then nothing can be trusted, and
// there is no use in looking.
func (s Sources) Empty() bool {
	return len(s.Roots)+len(s.AppleRoots)+len(s.FileCertificates)+len(s.OpenPGPKeys)+len(s.Thumbprints) == 0
}

// Files returns every file that is named.
func (s Sources) Files() []string {
	var all []string
	for _, list := range [][]string{s.Roots, s.TimeStampRoots, s.AppleRoots, s.FileCertificates, s.OpenPGPKeys, s.RevocationLists, s.Catalogs} {
		all = append(all, list...)
	}
	return all
}

// Trusted is whom this machine trusts.
type Trusted struct {
	Anchors  *chain.Anchors
	FileKeys *ima.Keys
	OpenPGP  *openpgp.Keyring
	Catalogs []*authenticode.Catalog
}

// Load reads the sources. read opens files that only an administrator can
// change. One file that cannot be read or understood fails all: without a
// revocation list the rest would trust too much.
func (s Sources) Load(read func(path string) ([]byte, error), now func() time.Time) (*Trusted, error) {
	l := loader{read: read}
	anchors := &chain.Anchors{
		CodeRoots:   l.certificates("Trust:Roots", s.Roots),
		TimeRoots:   l.certificates("Trust:TimeStampRoots", s.TimeStampRoots),
		AppleRoots:  l.certificates("Trust:AppleRoots", s.AppleRoots),
		Thumbprints: map[string]bool{}, Now: now,
	}
	for _, thumbprint := range s.Thumbprints {
		anchors.Thumbprints[thumbprint] = true
	}
	for _, path := range s.RevocationLists {
		anchors.RevocationLists = append(anchors.RevocationLists, l.revocations(path)...)
	}
	t := &Trusted{Anchors: anchors, FileKeys: ima.NewKeys(l.certificates("Trust:FileCertificates", s.FileCertificates))}
	t.FileKeys.Now = now
	t.OpenPGP = l.keyring(s.OpenPGPKeys)
	for _, path := range s.Catalogs {
		t.Catalogs = append(t.Catalogs, l.catalog(path, anchors))
	}
	return t, l.err
}

// loader reads files until the first error.
type loader struct {
	read func(string) ([]byte, error)
	err  error
}

func (l *loader) file(setting, path string) []byte {
	if l.err != nil {
		return nil
	}
	data, err := l.read(path)
	if err != nil {
		l.err = fmt.Errorf("appsettings.json, %s: %w; put it there, or take %s out of the setting", setting, err, path)
	}
	return data
}

func (l *loader) fault(setting, path, expected string, err error) {
	if l.err == nil {
		l.err = fmt.Errorf("appsettings.json, %s: %s: expected %s: %w", setting, path, expected, err)
	}
}

func (l *loader) certificates(setting string, paths []string) []*x509.Certificate {
	var all []*x509.Certificate
	for _, path := range paths {
		list, err := blocks(l.file(setting, path), "CERTIFICATE", x509.ParseCertificate)
		if err != nil {
			l.fault(setting, path, "certificates, PEM or DER", err)
		}
		all = append(all, list...)
	}
	return all
}

func (l *loader) revocations(path string) []*x509.RevocationList {
	list, err := blocks(l.file("Trust:RevocationLists", path), "X509 CRL", x509.ParseRevocationList)
	if err != nil {
		l.fault("Trust:RevocationLists", path, "revocation lists, PEM or DER", err)
	}
	return list
}

func (l *loader) keyring(paths []string) *openpgp.Keyring {
	var all *openpgp.Keyring
	for _, path := range paths {
		data := l.file("Trust:OpenPgpKeys", path)
		if l.err != nil {
			return nil
		}
		keys, err := openpgp.ReadKeyring(bytes.NewReader(data))
		if err != nil {
			l.fault("Trust:OpenPgpKeys", path, "OpenPGP public keys, armored or binary", err)
			return nil
		}
		all = all.With(keys)
	}
	return all
}

func (l *loader) catalog(path string, anchors *chain.Anchors) *authenticode.Catalog {
	data := l.file("Trust:Catalogs", path)
	if l.err != nil {
		return nil
	}
	// One whose signer has expired or is unknown vouches for nothing, and says
	// so of every file that it lists: no reason not to start.
	catalog, evidence := authenticode.ReadCatalog(data, anchors)
	if catalog == nil || evidence.Standing == core.Broken {
		l.fault("Trust:Catalogs", path, "a signed catalog", errors.New(evidence.Reason))
	}
	return catalog
}

// blocks reads PEM blocks of one kind, at least one, or one DER object.
func blocks[T any](data []byte, kind string, parse func([]byte) (T, error)) ([]T, error) {
	if data == nil {
		return nil, nil // its error is known
	}
	var all []T
	for rest := data; ; {
		block, after := pem.Decode(rest)
		if block == nil {
			break
		}
		if block.Type != kind {
			return nil, fmt.Errorf("found a PEM block of type %q", block.Type)
		}
		one, err := parse(block.Bytes)
		if err != nil {
			return nil, err
		}
		all, rest = append(all, one), after
	}
	if len(all) > 0 {
		return all, nil
	}
	one, err := parse(data)
	if err != nil {
		return nil, err
	}
	return []T{one}, nil
}
