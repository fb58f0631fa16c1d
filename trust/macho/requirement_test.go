package macho

import (
	"crypto/sha1"
	"crypto/x509"
	"encoding/asn1"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"kpm/trust/trusttest"
)

// code is requirement language as csreq compiles it, put together by hand.
type code []byte

func op(n uint32, operands ...code) code {
	return slices.Concat(append([]code{binary.BigEndian.AppendUint32(nil, n)}, operands...)...)
}

func number(n int32) code { return binary.BigEndian.AppendUint32(nil, uint32(n)) }

func str(s string) code {
	c := append(number(int32(len(s))), s...)
	return append(c, make([]byte, -len(s)&3)...)
}

func oidOf(oid ...int) code { return str(string(trusttest.Encode(asn1.ObjectIdentifier(oid))[2:])) }

func stampOf(at time.Time) code {
	return binary.BigEndian.AppendUint64(nil, uint64(at.Unix()-appleEpoch().Unix()))
}

func requirementBlob(c code) []byte {
	return makeBlob(magicRequirement, append(number(requirementForm), c...))
}

func compile(t testing.TB, c code) *Requirement {
	t.Helper()
	r, err := ParseRequirement(requirementBlob(c))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// subjectFor is a program signed as Developer ID.
func subjectFor(t testing.TB) Subject {
	t.Helper()
	pki := trusttest.New(t)
	leaf, ca, root := pki.Get(trusttest.DeveloperID), pki.Get(trusttest.DeveloperIDCA), pki.Get(trusttest.AppleRoot)
	return Subject{
		Identifier: "com.example.tool", CDHash: []byte("12345678901234567890"), Platform: 7,
		Chain:      []*x509.Certificate{leaf.Certificate, ca.Certificate, root.Certificate},
		AppleRoots: []*x509.Certificate{root.Certificate},
		Info:       map[string]any{"CFBundleVersion": "10.9.1", "LSMinimum": "007", "Flag": false, "Names": []any{"a", "b"}},
		Entitlements: map[string]any{
			"com.apple.security.app-sandbox": true, "groups": []any{"one", "two"},
		},
	}
}

func TestRequirements(t *testing.T) {
	s := subjectFor(t)
	rootHash := sha1.Sum(s.Chain[2].Raw)
	cn := "Developer ID Application: Example Developer (" + trusttest.TeamID + ")"
	info := func(key string, m code) code { return op(opInfoKeyField, str(key), m) }
	field := func(slot int32, key string, m code) code { return op(opCertField, number(slot), str(key), m) }
	exists, absent := op(matchExists), op(matchAbsent)
	cases := []struct {
		code code
		want truth
		text string
	}{
		{op(opFalse), no, "never"},
		{op(opTrue), yes, "always"},
		{op(opIdentifier, str("com.example.tool")), yes, `identifier "com.example.tool"`},
		{op(opIdentifier, str("tool")), no, "identifier tool"},
		{op(opIdentifier, str("com.example.tool\x00")), no, "identifier 0x636f6d2e6578616d706c652e746f6f6c00"},
		{op(opCDHash, str("12345678901234567890")), yes, `cdhash H"3132333435363738393031323334353637383930"`},
		{op(opCDHash, str("")), no, `cdhash H""`},
		{op(opNot, op(opFalse)), yes, "! never"},
		{op(opAnd, op(opTrue), op(opFalse)), no, "always and never"},
		{op(opOr, op(opTrue), op(opFalse)), yes, "always or never"},
		{op(opAnd, op(opOr, op(opTrue), op(opFalse)), op(opNot, op(opAnd, op(opTrue), op(opFalse)))), yes, "(always or never) and ! (always and never)"},
		{op(opOr, op(opAnd, op(opTrue), op(opFalse)), op(opTrue)), yes, "always and never or always"},
		{op(opPlatform, number(7)), yes, "platform = 7"},
		{op(opPlatform, number(0)), no, "platform = 0"},

		// Certificates.
		{op(opAppleGenericAnchor), yes, "anchor apple generic"},
		{op(opAppleAnchor), no, "anchor apple"},
		{op(opAnchorHash, number(-1), str(string(rootHash[:]))), yes, fmt.Sprintf(`certificate root = H"%x"`, rootHash)},
		{op(opAnchorHash, number(0), str(string(rootHash[:]))), no, fmt.Sprintf(`certificate leaf = H"%x"`, rootHash)},
		{op(opAnchorHash, number(2), str(string(rootHash[:]))), yes, fmt.Sprintf(`certificate 2 = H"%x"`, rootHash)},
		{op(opAnchorHash, number(-3), str("")), no, `certificate -3 = H""`},
		{op(opAnchorHash, number(3), str("")), no, `certificate 3 = H""`},
		{op(opAnchorHash, number(-4), str("")), no, `certificate -4 = H""`},
		{field(0, "subject.OU", op(matchEqual, str(trusttest.TeamID))), yes, "certificate leaf[subject.OU] = A1B2C3D4E5"},
		{field(0, "subject.OU", op(matchEqual, str("A1B2C3D4E"))), no, "certificate leaf[subject.OU] = A1B2C3D4E"},
		{field(0, "subject.CN", op(matchEqual, str(cn))), yes, `certificate leaf[subject.CN] = "` + cn + `"`},
		{field(0, "subject.CN", op(matchBeginsWith, str("Developer ID"))), yes, `certificate leaf[subject.CN] = "Developer ID"*`},
		{field(0, "subject.CN", op(matchEndsWith, str("E5)"))), yes, `certificate leaf[subject.CN] = *"E5)"`},
		{field(0, "subject.CN", op(matchContains, str("Example"))), yes, `certificate leaf[subject.CN] ~ Example`},
		{field(0, "subject.CN", op(matchContains, str("example"))), no, `certificate leaf[subject.CN] ~ example`},
		{field(0, "subject.C", exists), yes, `certificate leaf[subject.C] /* exists */`},
		{field(0, "subject.L", exists), no, `certificate leaf[subject.L] /* exists */`},
		{field(0, "subject.L", absent), no, `certificate leaf[subject.L] absent`},
		{field(0, "subject.unheard", exists), no, `certificate leaf[subject.unheard] /* exists */`},
		{field(0, "email", exists), no, `certificate leaf[email] /* exists */`},
		{op(opCertGeneric, number(0), oidOf(1, 2, 840, 113635, 100, 6, 1, 13), exists), yes, "certificate leaf[field.1.2.840.113635.100.6.1.13] /* exists */"},
		{op(opCertGeneric, number(1), oidOf(1, 2, 840, 113635, 100, 6, 2, 6), exists), yes, "certificate 1[field.1.2.840.113635.100.6.2.6] /* exists */"},
		{op(opCertGeneric, number(1), oidOf(1, 2, 840, 113635, 100, 6, 1, 13), exists), no, "certificate 1[field.1.2.840.113635.100.6.1.13] /* exists */"},
		{op(opCertGeneric, number(1), oidOf(1, 2, 840, 113635, 100, 6, 1, 13), absent), yes, "certificate 1[field.1.2.840.113635.100.6.1.13] absent"},
		{op(opCertGeneric, number(0), str("\x80"), exists), no, "certificate leaf[field.0x80] /* exists */"},
		{op(opCertPolicy, number(0), oidOf(1, 2, 3), exists), no, "certificate leaf[policy.1.2.3] /* exists */"},
		{op(opCertPolicy, number(0), oidOf(1, 2, 3), absent), yes, "certificate leaf[policy.1.2.3] absent"},
		{op(opCertFieldDate, number(0), oidOf(1, 2, 3), op(matchAfter, stampOf(time.Date(2020, 1, 2, 3, 4, 5, 0, time.UTC)))), no, "certificate leaf[timestamp.1.2.3] > <2020-01-02 03:04:05Z>"},

		// Property lists.
		{info("CFBundleVersion", op(matchEqual, str("10.9.1"))), yes, `info[CFBundleVersion] = "10.9.1"`},
		{op(opInfoKeyValue, str("CFBundleVersion"), str("10.9.1")), yes, `info[CFBundleVersion] = "10.9.1"`},
		{info("CFBundleVersion", op(matchGreaterThan, str("10.10"))), no, `info[CFBundleVersion] > "10.10"`},
		{info("CFBundleVersion", op(matchLessThan, str("10.10"))), yes, `info[CFBundleVersion] < "10.10"`},
		{info("CFBundleVersion", op(matchGreaterEqual, str("10.9.1"))), yes, `info[CFBundleVersion] >= "10.9.1"`},
		{info("CFBundleVersion", op(matchLessEqual, str("10.9"))), no, `info[CFBundleVersion] <= "10.9"`},
		{info("LSMinimum", op(matchLessEqual, str("7"))), yes, `info[LSMinimum] <= "7"`},
		{info("Flag", exists), no, "info[Flag] /* exists */"},
		{info("Flag", absent), no, "info[Flag] absent"},
		{info("Missing", absent), yes, "info[Missing] absent"},
		{info("Missing", exists), no, "info[Missing] /* exists */"},
		{info("Names", op(matchEqual, str("b"))), yes, "info[Names] = b"},
		{info("Names", op(matchEqual, str("c"))), no, "info[Names] = c"},
		{op(opEntitlementField, str("com.apple.security.app-sandbox"), exists), yes, `entitlement["com.apple.security.app-sandbox"] /* exists */`},
		{op(opEntitlementField, str("groups"), op(matchEqual, str("two"))), yes, "entitlement[groups] = two"},

		// What only the Mac that runs it can tell, and its opposite.
		{op(opTrustedCert, number(0)), unknown, "certificate leaf trusted"},
		{op(opTrustedCerts), unknown, "anchor trusted"},
		{op(opNamedAnchor, str("x")), unknown, "anchor apple x"},
		{op(opNamedCode, str("x")), unknown, "(x)"},
		{op(opNotarized), unknown, "notarized"},
		{op(opLegacyDevID), unknown, "legacy"},
		{op(opNot, op(opNotarized)), unknown, "! notarized"},
		{op(opAnd, op(opNotarized), op(opFalse)), no, "notarized and never"},
		{op(opOr, op(opNotarized), op(opTrue)), yes, "notarized or always"},

		// What is not known.
		{op(0x80000063, str("????")), no, "/* opcode 99 */ never"},
		{op(opOr, op(0x80000063, str("")), op(opTrue)), yes, "/* opcode 99 */ never or always"},
		{op(0x40000063, str("????"), op(opTrue)), yes, "/* opcode 99 */ always"},
		{op(0xc0000063, str("????")), no, "/* opcode 99 */ never"},
		{op(opOr, op(opTrue), op(99)), no, "always or /* opcode 99 */ never /* opcode 99 is not known: met by nothing */"},
		{op(opNot, op(99)), no, "! /* opcode 99 */ never /* opcode 99 is not known: met by nothing */"},
		{info("CFBundleVersion", op(77, str("?"))), unknown, "info[CFBundleVersion] /* match 77: met by nothing */"},
		{op(opNot, info("CFBundleVersion", op(77, str("?")))), unknown, "! info[CFBundleVersion] /* match 77: met by nothing */"},
	}
	for _, c := range cases {
		r := compile(t, c.code)
		if got := r.evaluate(s); got != c.want || r.Match(s) != (c.want == yes) {
			t.Errorf("%s: %v, Match %v, want %v", r, got, r.Match(s), c.want)
		}
		if r.String() != c.text {
			t.Errorf("text is\n\t%s, want\n\t%s", r, c.text)
		}
	}
}

func TestWhatIsNotKnownMeetsNothing(t *testing.T) {
	full := subjectFor(t)
	generic := op(opAppleGenericAnchor)
	root := op(opCertField, number(-1), str("subject.CN"), op(matchExists))
	for name, c := range map[string]struct {
		s    Subject
		code code
		want truth
	}{
		"no chain":                 {Subject{AppleRoots: full.AppleRoots}, generic, unknown},
		"no roots":                 {Subject{Chain: full.Chain}, generic, unknown},
		"a chain that stops below": {Subject{Chain: full.Chain[:2], AppleRoots: full.AppleRoots}, generic, unknown},
		"and its root":             {Subject{Chain: full.Chain[:2]}, root, unknown},
		"and what lies above":      {Subject{Chain: full.Chain[:2]}, op(opAnchorHash, number(2), str("")), unknown},
		"another's chain":          {Subject{Chain: trusttest.New(t).Get(trusttest.SelfSigned).Chain(), AppleRoots: full.AppleRoots}, generic, no},
		"no Info.plist":            {Subject{}, op(opInfoKeyField, str("a"), op(matchAbsent)), unknown},
		"no entitlements":          {Subject{}, op(opEntitlementField, str("a"), op(matchAbsent)), unknown},
		"an empty one":             {Subject{Entitlements: map[string]any{}}, op(opEntitlementField, str("a"), op(matchAbsent)), yes},
		"no hash":                  {Subject{}, op(opCDHash, str("")), no},
	} {
		for _, code := range []code{c.code, op(opNot, op(opNot, c.code))} {
			if got := compile(t, code).evaluate(c.s); got != c.want {
				t.Errorf("%s: %v, want %v", name, got, c.want)
			}
		}
		if c.want == unknown && (compile(t, c.code).Match(c.s) || compile(t, op(opNot, c.code)).Match(c.s)) {
			t.Errorf("%s: it is met, or its opposite is", name)
		}
	}
}

func TestAppleAndDates(t *testing.T) {
	pki := trusttest.New(t)
	root := pki.Get(trusttest.AppleRoot)
	template := *pki.Get(trusttest.DeveloperIDCA).Certificate
	template.SerialNumber, template.RawSubject = nil, nil
	template.Subject.CommonName, template.Subject.Organization = "Apple Code Signing Certification Authority", []string{"Apple Inc."}
	template.EmailAddresses = []string{"a@example.com", "b@example.com"}
	policy, err := x509.ParseOID("1.2.3")
	if err != nil {
		t.Fatal(err)
	}
	template.Policies = []x509.OID{policy}
	template.ExtraExtensions = append(template.ExtraExtensions, extensionOf(asn1.ObjectIdentifier{1, 2, 4}, append([]byte{0x0c, 15}, "20250102030405Z"...)))
	ca, err := trusttest.Issue("apple-code-ca", template, root.Key, root)
	if err != nil {
		t.Fatal(err)
	}
	s := Subject{Chain: []*x509.Certificate{pki.Get(trusttest.DeveloperID).Certificate, ca.Certificate, root.Certificate}, AppleRoots: []*x509.Certificate{root.Certificate}}
	at := time.Date(2025, 1, 2, 3, 4, 5, 0, time.UTC)
	date := func(m uint32, when time.Time) code {
		return op(opCertFieldDate, number(1), oidOf(1, 2, 4), op(m, stampOf(when)))
	}
	email := func(a string) code { return op(opCertField, number(1), str("email"), op(matchEqual, str(a))) }
	for i, c := range []struct {
		code code
		want truth
	}{
		{op(opAppleAnchor), yes},
		{email("b@example.com"), yes}, {email("c@example.com"), no},
		{op(opCertPolicy, number(1), oidOf(1, 2, 3), op(matchExists)), yes},
		{date(matchOn, at), yes}, {date(matchOn, at.Add(time.Second)), no},
		{date(matchBefore, at.Add(time.Second)), yes}, {date(matchBefore, at), no},
		{date(matchAfter, at.Add(-time.Second)), yes}, {date(matchAfter, at), no},
		{date(matchOnOrBefore, at), yes}, {date(matchOnOrAfter, at), yes}, {date(matchOnOrAfter, at.Add(time.Second)), no},
		{op(opCertFieldDate, number(1), oidOf(1, 2, 4), op(matchExists)), yes},
		{op(opCertFieldDate, number(1), oidOf(1, 2, 5), op(matchAbsent)), yes},
	} {
		if got := compile(t, c.code).evaluate(s); got != c.want {
			t.Errorf("%d, %s: %v", i, compile(t, c.code), got)
		}
	}
	if got := match(match{op: matchEqual, value: "DE"}).field(twice(t, root), "subject.C"); got != unknown {
		t.Errorf("of two countries, one: %v", got)
	}
}

func TestMalformedRequirements(t *testing.T) {
	deep := func(n int) code { return append(code(strings.Repeat(string(op(opNot)), n)), op(opTrue)...) }
	compile(t, deep(900))
	for name, blob := range map[string][]byte{
		"nothing":                    nil,
		"a header":                   makeBlob(magicRequirement, nil),
		"another magic":              makeBlob(magicRequirements, append(number(1), op(opTrue)...)),
		"another kind":               makeBlob(magicRequirement, append(number(2), op(opTrue)...)),
		"no expression":              requirementBlob(nil),
		"half an opcode":             requirementBlob(code{0, 0}),
		"half a conjunction":         requirementBlob(op(opAnd, op(opTrue))),
		"an operand that is cut":     requirementBlob(op(opIdentifier, number(5), code("abcd"))),
		"an operand of 4 GiB":        requirementBlob(op(opIdentifier, number(-1), code("abcd"))),
		"an operand without padding": requirementBlob(op(opIdentifier, number(1), code("a"))),
		"padding that is none":       requirementBlob(op(opIdentifier, number(1), code("abcd"))),
		"a date that is cut":         requirementBlob(op(opCertFieldDate, number(0), oidOf(1, 2), op(matchOn, number(1)))),
		"more after it":              requirementBlob(append(op(opTrue), op(opTrue)...)),
		"nested too deeply":          requirementBlob(deep(1000)),
		"nested far too deeply":      requirementBlob(deep(16000)),
		"too large":                  requirementBlob(op(opIdentifier, str(strings.Repeat("x", maxRequirement)))),
		"a length that is not its":   append(requirementBlob(op(opTrue)), 0),
		"a skip beyond the end":      requirementBlob(op(0x80000063, number(-1))),
	} {
		if r, err := ParseRequirement(blob); err == nil {
			t.Errorf("%s: %s", name, r)
		}
	}
}

// TestRequirementText compares with what relic prints, which follows Apple's
// reqdumper. Where it does not, ours follows the compiler's grammar: it prints
// "leaftrusted", skips four bytes after a platform, does not read what a date
// is compared with, and leaves two spaces around "absent".
func TestRequirementText(t *testing.T) {
	var all []code
	leaf := func(key string, m code) code { return op(opCertField, number(0), str(key), m) }
	for _, m := range []uint32{matchEqual, matchContains, matchBeginsWith, matchEndsWith, matchLessThan, matchGreaterThan, matchLessEqual, matchGreaterEqual} {
		for _, value := range []string{"word", "two words", "1digit", "", "quo\"te", `back\slash`, "caf\xc3\xa9", "nul\x00", "a.b"} {
			all = append(all, leaf("subject.CN", op(m, str(value))), op(opInfoKeyField, str(value), op(m, str(value))))
		}
	}
	for _, x := range []code{op(opTrue), op(opFalse), op(opAppleAnchor), op(opAppleGenericAnchor), op(opTrustedCerts), op(opNotarized), op(opLegacyDevID),
		op(opIdentifier, str("com.example")), op(opCDHash, str("abcdefghijklmnopqrst")), op(opNamedAnchor, str("name")), op(opNamedCode, str("name")),
		op(opAnchorHash, number(-1), str("abcdefghijklmnopqrst")), op(opAnchorHash, number(3), str("")), op(opCertGeneric, number(0), oidOf(1, 2, 840, 113635, 100, 6, 1, 13), op(matchExists)),
		op(opCertPolicy, number(-2), oidOf(2, 5, 29), op(matchExists)), op(opEntitlementField, str("a.b"), op(matchExists)), op(opInfoKeyValue, str("k"), str("v"))} {
		all = append(all, x, op(opNot, x))
		for _, outer := range []uint32{opAnd, opOr} {
			for _, inner := range []uint32{opAnd, opOr} {
				all = append(all, op(outer, x, op(inner, x, op(opTrue))), op(opNot, op(outer, op(inner, op(opFalse), x), x)))
			}
		}
	}
	dir := t.TempDir()
	args := []string{"requirement"}
	for i, c := range all {
		path := filepath.Join(dir, fmt.Sprint(i))
		save(t, path, requirementBlob(c))
		args = append(args, path)
	}
	lines := json.NewDecoder(strings.NewReader(string(runForeign(t, args...))))
	for i, c := range all {
		var theirs struct{ Text, Error string }
		if err := lines.Decode(&theirs); err != nil {
			t.Fatal(err)
		}
		if ours := compile(t, c).String(); ours != theirs.Text {
			t.Errorf("%d: ours   %s\n   theirs %s%s", i, ours, theirs.Text, theirs.Error)
		}
	}
}
