package macho

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"slices"
	"testing"
	"time"

	"kpm/core"
	"kpm/trust/trusttest"
)

// Attack (a team is what policies go by): the holder of a certificate that is
// trusted by its thumbprint has put the Mac App Store's mark into it, and names
// another's team.
func TestACertificateOfOnesOwnSellsForNoTeam(t *testing.T) {
	pki := trusttest.New(t)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	own, err := trusttest.Issue("own", x509.Certificate{
		Subject: pkix.Name{CommonName: "Own", OrganizationalUnit: []string{"MYOWNTEAM1"}}, NotBefore: pki.Now.Add(-time.Hour), NotAfter: pki.Now.Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning},
		ExtraExtensions: []pkix.Extension{extensionOf(oidAppStore, []byte{5, 0})},
	}, key, nil)
	if err != nil {
		t.Fatal(err)
	}
	a := anchors(t)
	thumbprint := sha256.Sum256(own.Certificate.Raw)
	a.Thumbprints = map[string]bool{hex.EncodeToString(thumbprint[:]): true}
	for team, standing := range map[string]core.Standing{"MYOWNTEAM1": core.Trusted, "ANOTHERTM1": core.Untrusted} {
		e := want(t, a, forge(t, base(t), recipe{by: own, team: team}), standing, "")
		if (e.TeamID == team) != (standing == core.Trusted) {
			t.Errorf("team %q", e.TeamID)
		}
	}
}

// Attack: a maze of issuers that all have one name.
func TestAMazeOfIssuersIsNotWalkedToItsEnd(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	made := func(issuer *trusttest.Entity, by string) *trusttest.Entity {
		e, err := trusttest.Issue("maze", x509.Certificate{
			Subject: pkix.Name{CommonName: by}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour),
			IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
		}, key, issuer)
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	top := made(nil, "A")
	var others []*x509.Certificate
	for i := range 60 {
		top = made(top, []string{"B", "A"}[i%2])
		others = append(others, top.Certificate)
	}
	leaf := made(top, "leaf").Certificate
	slices.Reverse(others)
	if n := len(extend([]*x509.Certificate{leaf}, others)); n > maxExtended+1 {
		t.Errorf("a chain of %d", n)
	}
	if n := len(extend([]*x509.Certificate{leaf}, others[:3])); n != 4 {
		t.Errorf("a chain of %d with three issuers", n)
	}
}
