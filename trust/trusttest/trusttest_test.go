package trusttest_test

import (
	"crypto/x509"
	"testing"

	"kpm/trust/trusttest"
)

func TestHierarchyIsWhatItSays(t *testing.T) {
	p := trusttest.New(t)
	roots := x509.NewCertPool()
	roots.AddCert(p.Get(trusttest.Root).Certificate)
	between := x509.NewCertPool()
	between.AddCert(p.Get(trusttest.Issuing).Certificate)
	for _, name := range []string{trusttest.Good, trusttest.Revoked} {
		if _, err := p.Get(name).Certificate.Verify(x509.VerifyOptions{
			Roots: roots, Intermediates: between, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning},
		}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, name := range p.Names() {
		if e := p.Get(name); e.Certificate == nil || e.Key == nil {
			t.Errorf("%s is incomplete", name)
		}
	}
	p.Get(trusttest.GoodEC).Files(t)
	p.RevocationFile(t)
}
