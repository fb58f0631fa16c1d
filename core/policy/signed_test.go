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
		{"one entry that cannot be read, and another signer", filter(`"` + leafSHA1 + `", "?"`), apple, false, true},
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

// How a signer may be written, and what is too little or too much.
func TestHowSignersAreWritten(t *testing.T) {
	signer := core.Signer{Subject: "Contoso Ltd", SHA1: leafSHA1, SHA256: leafSHA256, SPKI: leafSPKI, Authorities: []string{other, caSPKI, leafSHA256},
		KeyID: strings.Repeat("0f", 8), TeamID: "ABCDE12345"}
	for _, tc := range []struct {
		entry string
		want  strength
	}{
		{"SPKI: " + strings.ToUpper(leafSPKI), full},
		{"ca:\t" + caSPKI + " ", full},
		{"Ca:" + other, full},
		{"ca:" + leafSHA256, full},
		{"ca:" + leafSHA1, restricts},
		{strings.ReplaceAll(leafSHA1, "a1", "a1 "), full},
		{strings.ReplaceAll(leafSHA256, "a2", "A2:"), full},
		{leafSHA1[1:], restricts},
		{leafSHA1 + "a", restricts},
		{"g" + leafSHA1[1:], restricts},
		{"spki:" + leafSPKI[:63] + "g", restricts},
		{"spki:" + leafSPKI + "a3", restricts},
		{"spki:", restricts},
		{"KEY:0F0F0F0F0F0F0F0F", full},
		{"key:0f0f0f0f0f0f0f", nothing},    // the end of its id
		{"key:0f0f0f0f0f", nothing},        // more than 32 bits of it
		{"key:0f0f0f", restricts},          // less
		{"key:0f0f0f0f0f0f0f0", restricts}, // half a byte
		{"key:0f0f0f0g", restricts},
		{"Team:ABCDE12345", full},
		{"team:abcde12345", nothing},
		{"team:ABC DE", restricts},
		{"team:", restricts},
		{"subject:", restricts},
		{"Subject: CONTOSO LTD", restricts},
		{"subject:Contoso Ltd.", nothing},
		{"subject", restricts},
		{"**", restricts},
	} {
		q := ask("/usr/bin/id", "id", "id")
		signedBy(signer)(&q)
		if got := meets(t, linux(), sketch{extra: `, "CertificationCheck": ["` + strings.ReplaceAll(tc.entry, "\t", `\t`) + `"]`}, q); got != tc.want {
			t.Errorf("%q: %v, want %v", tc.entry, got, tc.want)
		}
	}
	// A short id of a key restricts whom it fits, and nobody else.
	short := sketch{extra: `, "CertificationCheck": ["key:0f0f0f0f"]`}
	for id, want := range map[string]strength{"0f0f0f0f": restricts, "0f0f0f0e": nothing, "": nothing} {
		q := ask("/usr/bin/id", "id", "id")
		signedBy(core.Signer{KeyID: id})(&q)
		if got := meets(t, linux(), short, q); got != want {
			t.Errorf("a key of id %q: %v", id, got)
		}
	}
}

func TestWhatIsSaidAboutSigners(t *testing.T) {
	got := said(t, linux(), sketch{id: "s", controls: "ALLOW", extra: `, "CertificationCheck": ["Contoso", "subject:Contoso", "key:0f0f0f0f", "key:0f0f0f0f0f", "team:A", "spki:a3"]`})
	const written = `expected "*", a thumbprint in hex, "spki:HEX", "ca:HEX", "key:HEX", "team:ID" or "subject:NAME"; KeeperAdminCLI trust inspect FILE prints them`
	want := []string{
		`grants nothing: s.json:2: policy "s", $.CertificationCheck[0]: found "Contoso", ` + written,
		`note: s.json:2: policy "s", $.CertificationCheck[1]: found a signer by name alone, expected a certificate, a key, or a CA; the entry restricts and never grants: others can have the same name`,
		`note: s.json:2: policy "s", $.CertificationCheck[2]: found a key by 32 bits of its id, expected spki:HEX, the whole key; the entry restricts and never grants: others can have the same id`,
		`grants nothing: s.json:2: policy "s", $.CertificationCheck[5]: found "spki:a3", ` + written,
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s", strings.Join(got, "\n"))
	}
}
