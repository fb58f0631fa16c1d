package provenance

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io/fs"
	"strings"
	"testing"
	"time"

	"kpm/trust/openpgp/gpgtest"
	"kpm/trust/reader/judge"
	"kpm/trust/trusttest"
)

func TestSources(t *testing.T) {
	pki := trusttest.New(t)
	root, ec := pki.Get(trusttest.Root).Certificate, pki.Get(trusttest.ECRoot).Certificate
	list := pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: pki.Lists()[0].Raw})
	gpg := gpgtest.New(t)
	key := gpg.Export(gpg.Generate("r@example.org", "ed25519", "sign", "1y"))
	read := func(path string) ([]byte, error) {
		data, ok := map[string][]byte{
			"two.pem": trusttest.PEM(root, ec), "one.der": root.Raw, "list.pem": list, "list.der": pki.Lists()[0].Raw,
			"keys": key, "empty": {}, "text": []byte("no certificate"),
			"key.pem": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte{1}}),
			"cut.pem": trusttest.PEM(&x509.Certificate{Raw: root.Raw[:100]}),
		}[path]
		if !ok {
			return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
		}
		return data, nil
	}
	load := func(s Sources) (*judge.Trusted, error) {
		b, err := s.Read(read)
		if err != nil {
			return nil, err
		}
		return judge.Parse(b, time.Now)
	}
	got, err := load(Sources{
		Roots: []string{"two.pem", "one.der"}, TimeStampRoots: []string{"one.der"}, RevocationLists: []string{"list.pem", "list.der"},
		FileCertificates: []string{"one.der"}, OpenPGPKeys: []string{"keys", "keys"}, Thumbprints: []string{"ab"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if a := got.Anchors; len(a.CodeRoots) != 3 || len(a.TimeRoots) != 1 || len(a.RevocationLists) != 2 || !a.Thumbprints["ab"] || got.OpenPGP == nil {
		t.Errorf("read %+v", a)
	}
	for name, c := range map[string]struct {
		sources Sources
		want    string
	}{
		"missing root":       {Sources{Roots: []string{"none"}}, "appsettings.json, Trust:Roots: open none"},
		"no certificate":     {Sources{Roots: []string{"text"}}, "appsettings.json, Trust:Roots: text: expected certificates, PEM or DER"},
		"empty":              {Sources{TimeStampRoots: []string{"empty"}}, "Trust:TimeStampRoots: empty"},
		"a private key":      {Sources{AppleRoots: []string{"key.pem"}}, `found a PEM block of type "PRIVATE KEY"`},
		"cut short":          {Sources{FileCertificates: []string{"cut.pem"}}, "Trust:FileCertificates: cut.pem"},
		"missing list":       {Sources{Roots: []string{"two.pem"}, RevocationLists: []string{"none"}}, "Trust:RevocationLists: open none"},
		"list that is none":  {Sources{RevocationLists: []string{"two.pem"}}, "Trust:RevocationLists: two.pem: expected revocation lists"},
		"keys that are none": {Sources{OpenPGPKeys: []string{"text"}}, "Trust:OpenPgpKeys: text: expected OpenPGP public keys"},
		"no catalog":         {Sources{Catalogs: []string{"text"}}, "Trust:Catalogs: text: expected a signed catalog"},
	} {
		if _, err := load(c.sources); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, expected %q", name, err, c.want)
		}
	}
	if _, err := load(Sources{Roots: []string{"none"}}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the cause is lost: %v", err)
	}
}

func TestWhetherThereIsAnyoneToTrust(t *testing.T) {
	for name, c := range map[string]struct {
		sources Sources
		empty   bool
	}{
		"nobody":            {Sources{}, true},
		"only time-stamps":  {Sources{TimeStampRoots: []string{"x"}, RevocationLists: []string{"x"}, Catalogs: []string{"x"}}, true},
		"a root":            {Sources{Roots: []string{"x"}}, false},
		"a thumbprint":      {Sources{Thumbprints: []string{"x"}}, false},
		"a file's signer":   {Sources{FileCertificates: []string{"x"}}, false},
		"an OpenPGP key":    {Sources{OpenPGPKeys: []string{"x"}}, false},
		"Apple's own roots": {Sources{AppleRoots: []string{"x"}}, false},
	} {
		if c.sources.Empty() != c.empty {
			t.Errorf("%s: empty is %v", name, c.sources.Empty())
		}
	}
}
