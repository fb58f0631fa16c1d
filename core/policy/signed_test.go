package policy

import (
	"strings"
	"testing"

	"kpm/core"
)

var (
	leafSHA1   = strings.Repeat("a1", 20)
	leafSHA256 = strings.Repeat("a2", 32)
	leafSPKI   = strings.Repeat("a3", 32)
	caSPKI     = strings.Repeat("b3", 32)
	other      = strings.Repeat("ee", 32)
)

func signedBy(signers ...core.Signer) func(*Question) {
	return func(q *Question) { q.Signers, q.SignersKnown = signers, true }
}

func TestSignedFilter(t *testing.T) {
	contoso := signedBy(core.Signer{Subject: "Contoso Ltd", SHA1: leafSHA1, SHA256: leafSHA256, SPKI: leafSPKI, Authorities: []string{caSPKI}})
	apple := signedBy(core.Signer{Subject: "Tool Maker", TeamID: "ABCDE12345", SPKI: other})
	gpg := signedBy(core.Signer{Subject: "Releases <r@example.org>", KeyID: strings.Repeat("0f", 20)})
	both := signedBy(core.Signer{SPKI: other}, core.Signer{SPKI: leafSPKI})
	filter := func(entries string) sketch { return sketch{extra: `, "CertificationCheck": [` + entries + `]`} }
	checkMeetings(t, []meeting{
		{"anyone", filter(`"*"`), contoso, true, true},
		{"anyone, not signed", filter(`"*"`), signedBy(), false, false},
		{"thumbprint", filter(`"` + leafSHA1 + `"`), contoso, true, true},
		{"thumbprint as people paste it", filter(`"` + strings.TrimSuffix(strings.Repeat("A1:", 20), ":") + `"`), contoso, true, true},
		{"thumbprint, SHA-256", filter(`"` + strings.ToUpper(leafSHA256) + `"`), contoso, true, true},
		{"another thumbprint", filter(`"` + other + `"`), contoso, false, false},
		{"a key is no thumbprint", filter(`"` + leafSPKI + `"`), contoso, false, false},
		{"public key", filter(`"spki:` + leafSPKI + `"`), contoso, true, true},
		{"a CA above", filter(`"ca:` + caSPKI + `"`), contoso, true, true},
		{"the signer is no CA above itself", filter(`"ca:` + leafSPKI + `"`), contoso, false, false},
		{"a CA is not the signer", filter(`"spki:` + caSPKI + `"`), contoso, false, false},
		{"team", filter(`"team:ABCDE12345"`), apple, true, true},
		{"another team", filter(`"team:ABCDE12346"`), apple, false, false},
		{"key", filter(`"key:` + strings.Repeat("0F", 20) + `"`), gpg, true, true},
		{"the end of a key id", filter(`"key:` + strings.Repeat("0f", 8) + `"`), gpg, false, false},
		// CVE-2020-12614: names restrict and never grant.
		{"name", filter(`"subject:contoso ltd"`), contoso, false, true},
		{"another name", filter(`"subject:Contoso"`), contoso, false, false},
		{"name, and its key", filter(`"subject:Contoso Ltd", "spki:` + leafSPKI + `"`), contoso, true, true},
		{"one of two entries", filter(`"spki:` + other + `", "spki:` + leafSPKI + `"`), contoso, true, true},
		{"one of two signers", filter(`"spki:` + leafSPKI + `"`), both, true, true},
		{"not signed", filter(`"spki:` + leafSPKI + `"`), signedBy(), false, false},
		// What nobody has looked at can meet nothing, and restricts.
		{"nobody has looked", filter(`"*"`), nil, false, true},
		{"a bare name", filter(`"Contoso Ltd"`), contoso, false, true},
		{"an unknown kind", filter(`"issuer:Contoso"`), contoso, false, true},
		{"a digest that is too short", filter(`"spki:a3a3"`), contoso, false, true},
		{"one entry that cannot be read", filter(`"` + leafSHA1 + `", "?"`), contoso, false, true},
		// Attack (one kind of hex taken for another): with its prefix, two digits
		// short, the key of a CA is as long as a thumbprint.
		{"a CA, two digits short", filter(`"ca:` + caSPKI[2:] + `"`), contoso, false, true},
		{"a CA's SHA-1, two digits short", filter(`"ca:` + leafSHA1[2:] + `"`), contoso, false, true},
		{"a thumbprint that begins with ca", filter(`"CA:` + strings.TrimSuffix(strings.Repeat("A1:", 19), ":") + `"`), signedBy(core.Signer{SHA1: "ca" + leafSHA1[2:]}), true, true},
		// Attack: another trusted signer of files has a certificate made with
		// the same 32 bits of key id.
		{"a short key id", filter(`"key:0f0f0f0f"`), signedBy(core.Signer{KeyID: "0f0f0f0f", SPKI: other}), false, true},
		{"no entries", filter(``), signedBy(), true, true},
	})
}

func TestFindingsAboutSigners(t *testing.T) {
	policies, _ := engine.Parse("p.json", []byte(strings.Replace(fullModel, `"CertificationCheck": []`, `"CertificationCheck": ["Contoso", "subject:Contoso"]`, 1)))
	_, findings := engine.Compile(policies, linux())
	var got []string
	for _, f := range findings {
		if strings.HasPrefix(f.Field, "$.CertificationCheck") {
			got = append(got, f.Field)
		}
	}
	if strings.Join(got, " ") != "$.CertificationCheck[0] $.CertificationCheck[1]" {
		t.Errorf("findings at %v in %v", got, findings)
	}
}
