package provenance

import (
	"fmt"

	"kpm/trust/reader"
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
	for _, named := range s.bySetting() {
		all = append(all, named.paths...)
	}
	return all
}

// Read reads the sources. read opens files that only an administrator can
// change. One that cannot be read fails all: without a revocation list the rest
// would trust too much. Nothing is made of the bytes.
func (s Sources) Read(read func(path string) ([]byte, error)) (*reader.Bundle, error) {
	b := &reader.Bundle{Thumbprints: s.Thumbprints}
	size := 0
	for _, named := range s.bySetting() {
		for _, path := range named.paths {
			data, err := read(path)
			if err != nil {
				return nil, fmt.Errorf("appsettings.json, %s: %w; put it there, or take %s out of the setting", named.setting, err, path)
			}
			if size += len(data); size > reader.MaxBundle {
				return nil, fmt.Errorf("appsettings.json, %s: with %s the files of Trust have more than %d MiB together; take what is not needed out of the settings",
					named.setting, path, reader.MaxBundle>>20)
			}
			b.Sources = append(b.Sources, reader.Source{Setting: named.setting, Path: path, Data: data})
		}
	}
	return b, nil
}

type named struct {
	setting string
	paths   []string
}

func (s Sources) bySetting() []named {
	return []named{
		{reader.Roots, s.Roots}, {reader.TimeStampRoots, s.TimeStampRoots}, {reader.AppleRoots, s.AppleRoots},
		{reader.FileCertificates, s.FileCertificates}, {reader.OpenPGPKeys, s.OpenPGPKeys},
		{reader.RevocationLists, s.RevocationLists}, {reader.Catalogs, s.Catalogs},
	}
}
