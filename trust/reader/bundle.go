package reader

import (
	"bytes"
	"fmt"

	"kpm/trust/openpgp"
)

// Settings of appsettings.json that name sources.
const (
	Roots            = "Trust:Roots"
	TimeStampRoots   = "Trust:TimeStampRoots"
	AppleRoots       = "Trust:AppleRoots"
	FileCertificates = "Trust:FileCertificates"
	OpenPGPKeys      = "Trust:OpenPgpKeys"
	RevocationLists  = "Trust:RevocationLists"
	Catalogs         = "Trust:Catalogs"
)

// Bounds of a bundle. All of it lies in every reader.
const (
	// MaxBundle bounds the files that say whom to trust, together, in bytes.
	MaxBundle      = 64 << 20
	maxSources     = 4096
	maxSource      = 64 << 10 // bytes of a path or setting
	maxThumbprints = 4096
)

// Bundle is whom this machine trusts, as bytes that only an administrator can
// change. It does not change.
type Bundle struct {
	Sources     []Source
	Thumbprints []string // of certificates that are trusted by themselves, lower-case hex
}

// Source is one file.
type Source struct {
	Setting string // that names it, one of those above
	Path    string // for messages
	Data    []byte
}

// Of returns the sources that a setting names.
func (b *Bundle) Of(setting string) []Source {
	var list []Source
	for _, s := range b.Sources {
		if s.Setting == setting {
			list = append(list, s)
		}
	}
	return list
}

// Fault says that the source cannot be understood.
func (s Source) Fault(expected string, err error) error {
	return fmt.Errorf("appsettings.json, %s: %s: expected %s: %w", s.Setting, s.Path, expected, err)
}

// Keyring reads the OpenPGP keys, which the service needs as well: for the
// signed records of packages. It is nil if no file has any.
func (b *Bundle) Keyring() (*openpgp.Keyring, error) {
	var all *openpgp.Keyring
	for _, s := range b.Of(OpenPGPKeys) {
		keys, err := openpgp.ReadKeyring(bytes.NewReader(s.Data))
		if err != nil {
			return nil, s.Fault("OpenPGP public keys, armored or binary", err)
		}
		all = all.With(keys)
	}
	return all, nil
}

func (b *Bundle) encode() ([]byte, error) {
	e := &encoder{}
	e.number(uint64(len(b.Sources)))
	for _, s := range b.Sources {
		e.text(s.Setting)
		e.text(s.Path)
		e.bytes(s.Data)
	}
	e.number(uint64(len(b.Thumbprints)))
	for _, t := range b.Thumbprints {
		e.text(t)
	}
	if _, err := decodeBundle(e.b); err != nil {
		return nil, fmt.Errorf("whom to trust takes more than %d MiB, or names too many files: %w", MaxBundle>>20, err)
	}
	return e.b, nil
}

func decodeBundle(message []byte) (*Bundle, error) {
	d := &decoder{b: message}
	b := &Bundle{}
	if len(message) > maxMessage {
		d.fail("it has %d bytes", len(message))
	}
	for range d.count(maxSources) {
		b.Sources = append(b.Sources, Source{d.text(maxSource), d.text(maxSource), d.bytes(MaxBundle)})
	}
	for range d.count(maxThumbprints) {
		b.Thumbprints = append(b.Thumbprints, d.text(maxSource))
	}
	return b, d.end()
}
