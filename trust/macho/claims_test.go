package macho

import (
	"slices"
	"strings"
	"testing"

	"kpm/core"
	"kpm/trust/trusttest"
)

func TestDesignatedRequirement(t *testing.T) {
	info := plistOf("<key>CFBundleVersion</key><string>1.2</string>")
	for name, c := range map[string]struct {
		code     code
		standing core.Standing
		outcome  string
	}{
		"its own":                   {op(opAnd, op(opIdentifier, str("com.example.tool")), op(opAppleGenericAnchor)), core.Trusted, core.Passed},
		"its team":                  {op(opCertField, number(0), str("subject.OU"), op(matchEqual, str(trusttest.TeamID))), core.Trusted, core.Passed},
		"its entitlements":          {op(opEntitlementField, str("a"), op(matchExists)), core.Trusted, core.Passed},
		"its Info.plist":            {op(opInfoKeyField, str("CFBundleVersion"), op(matchEqual, str("1.2"))), core.Trusted, core.Passed},
		"what nobody here can tell": {op(opNotarized), core.Trusted, core.NotChecked},
		"another identifier":        {op(opIdentifier, str("com.example.other")), core.Untrusted, core.Failed},
		"another team":              {op(opCertField, number(0), str("subject.OU"), op(matchEqual, str("OTHERTEAM1"))), core.Untrusted, core.Failed},
		"another version":           {op(opInfoKeyField, str("CFBundleVersion"), op(matchEqual, str("1.3"))), core.Untrusted, core.Failed},
		"Apple's own":               {op(opAppleAnchor), core.Untrusted, core.Failed},
		"an opcode of the future":   {op(99), core.Untrusted, core.Failed},
		"nothing":                   {op(opFalse), core.Untrusted, core.Failed},
	} {
		t.Run(name, func(t *testing.T) {
			signed := sign(t, tiny(little64(), arm64, info), signing{team: trusttest.TeamID, info: info,
				requirements: requirementBlob(c.code), entitlements: plistOf("<key>a</key><true/>")})
			e := want(t, anchors(t), signed, c.standing, "")
			if got := outcome(e, "designated requirement"); got.Outcome != c.outcome {
				t.Errorf("%+v", got)
			}
		})
	}
	t.Run("none", func(t *testing.T) {
		e := want(t, anchors(t), forge(t, base(t), recipe{}), core.Trusted, "")
		if got := outcome(e, "designated requirement"); got.Outcome != core.NotChecked {
			t.Errorf("%+v", got)
		}
	})
}

func TestInfoPlist(t *testing.T) {
	info := plistOf("<key>CFBundleIdentifier</key><string>com.example.tool</string>")
	inside := sign(t, tiny(little64(), arm64, info), signing{info: info})
	if e := want(t, anchors(t), inside, core.Trusted, ""); outcome(e, "Info.plist").Outcome != core.Passed {
		t.Errorf("%+v", e.Checks)
	}
	for name, signed := range map[string][]byte{
		"the bundle's":                     sign(t, tiny(little64(), arm64, nil), signing{info: info}),
		"the bundle's, and another inside": sign(t, tiny(little64(), arm64, plistOf("")), signing{info: info}),
	} {
		if e := want(t, anchors(t), signed, core.Trusted, ""); outcome(e, "Info.plist").Outcome != core.NotChecked {
			t.Errorf("%s: %+v", name, e.Checks)
		}
	}
}

func TestWhatASignatureSays(t *testing.T) {
	signed := base(t)
	entitled := func(list string) map[int][]byte {
		return map[int][]byte{slotEntitlements: makeBlob(magicEntitlements, plistOf(list))}
	}
	const getTaskAllow = "<key>com.apple.security.get-task-allow</key><true/>"
	for name, c := range map[string]struct {
		recipe
		check   string
		outcome string
		detail  string
	}{
		"hardened":             {recipe{flags: flagRuntime}, "hardened runtime", core.Passed, ""},
		"not hardened":         {recipe{}, "hardened runtime", core.Weak, "off"},
		"hardened with an SDK": {recipe{flags: flagRuntime, directory: func(_ int, cd []byte) []byte { cd[89], cd[90] = 14, 2; return cd }}, "hardened runtime", core.Passed, "14.2.0"},
		"library validation":   {recipe{flags: flagLibraryValidation}, "library validation", core.Passed, ""},
		"implied by runtime":   {recipe{flags: flagRuntime}, "library validation", core.Passed, ""},
		"given up": {recipe{flags: flagRuntime, blobs: entitled("<key>com.apple.security.cs.disable-library-validation</key><true/>")},
			"library validation", core.Weak, "com.apple.security.cs.disable-library-validation"},
		"not given up": {recipe{flags: flagRuntime, blobs: entitled("<key>com.apple.security.cs.disable-library-validation</key><false/>")},
			"library validation", core.Passed, ""},
		"flags":                     {recipe{flags: flagHard | flagKill | flagRestrict | 0x4000000}, "code signing flags", core.Passed, "hard, kill, restrict, 0x4000000"},
		"open to debuggers":         {recipe{blobs: entitled(getTaskAllow)}, "entitlements", core.Weak, "com.apple.security.get-task-allow"},
		"a debugger":                {recipe{blobs: entitled("<key>com.apple.security.cs.debugger</key><true/>")}, "entitlements", core.Weak, "com.apple.security.cs.debugger"},
		"open by its DER alone":     {recipe{blobs: map[int][]byte{slotEntitlementsD: makeBlob(magicEntitlementsD, derTrue("get-task-allow"))}}, "entitlements", core.Weak, "get-task-allow"},
		"forms that differ":         {recipe{blobs: map[int][]byte{slotEntitlements: makeBlob(magicEntitlements, plistOf("<key>a</key><true/>")), slotEntitlementsD: makeBlob(magicEntitlementsD, derTrue("b"))}}, "entitlements", core.Failed, "differ"},
		"forms that agree":          {recipe{blobs: map[int][]byte{slotEntitlements: makeBlob(magicEntitlements, plistOf("<key>b</key><true/>")), slotEntitlementsD: makeBlob(magicEntitlementsD, derTrue("b"))}}, "entitlements", core.Passed, "1,"},
		"no property list":          {recipe{blobs: map[int][]byte{slotEntitlements: makeBlob(magicEntitlements, []byte("bplist00"))}}, "entitlements", core.Failed, "cannot be read"},
		"a key twice":               {recipe{blobs: entitled("<key>a</key><false/><key>a</key><true/>")}, "entitlements", core.Failed, "cannot be read"},
		"a comment that ends twice": {recipe{blobs: entitled("<!---><!-->" + getTaskAllow + "<!-- -->")}, "entitlements", core.Weak, ""},
		"a platform":                {recipe{platform: 1}, "platform", core.NotChecked, "platform 1"},
		"resources":                 {recipe{specials: map[int][]byte{slotResources: []byte("CodeResources")}}, "sealed resources", core.NotChecked, ""},
		"a launch constraint":       {recipe{blobs: map[int][]byte{9: makeBlob(magicConstraint, []byte("constraint"))}}, "launch constraint on its parent", core.NotChecked, ""},
		"an executable segment":     {recipe{directory: func(_ int, cd []byte) []byte { cd[79], cd[87] = 9, 1; return cd }}, "executable segment", core.Passed, "offset 0, 9 bytes, flags 0x1"},
		"linkage":                   {recipe{version: versionLinkage, directory: func(_ int, cd []byte) []byte { cd[107] = 4; return cd }}, "linkage", core.NotChecked, ""},
		"encrypted pages":           {recipe{directory: func(_ int, cd []byte) []byte { cd[95] = 1; return cd }}, "pages before encryption", core.NotChecked, ""},
		"a library requirement":     {recipe{blobs: map[int][]byte{slotRequirements: makeSuperBlob(magicRequirements, indexed{requirementLibrary, always()})}}, "library requirement", core.NotChecked, "always"},
		"a ticket":                  {recipe{}, "notarisation", core.NotChecked, "code directory hash"},
	} {
		t.Run(name, func(t *testing.T) {
			e := want(t, anchors(t), forge(t, signed, c.recipe), core.Trusted, "")
			if got := outcome(e, c.check); got.Outcome != c.outcome || !strings.Contains(got.Detail, c.detail) {
				t.Errorf("%+v, want %s, %q", got, c.outcome, c.detail)
			}
		})
	}
}

func TestPropertyLists(t *testing.T) {
	list, err := parsePlist(plistOf(`<!-- a comment --><key>s</key><string>a &amp; b</string><key>d</key><data> YQ== </data>
		<key>l</key><array><integer>1</integer><dict><key>k</key><false/></dict></array>`))
	if err != nil {
		t.Fatal(err)
	}
	inner, _ := list["l"].([]any)
	if data, _ := list["d"].([]byte); list["s"] != "a & b" || string(data) != "a" || len(inner) != 2 || inner[0] != "1" || inner[1].(map[string]any)["k"] != false {
		t.Errorf("%v", list)
	}
	for name, bad := range map[string][]byte{
		"nothing":          nil,
		"no list":          []byte("<dict/>"),
		"an array":         []byte("<plist><array/></plist>"),
		"two roots":        []byte("<plist><dict/><dict/></plist>"),
		"more after it":    append(plistOf(""), "<plist/>"...),
		"an end too few":   []byte("<plist><dict>"),
		"a key alone":      plistOf("<key>a</key>"),
		"a value alone":    plistOf("<true/>"),
		"a key twice":      plistOf("<key>a</key><true/><key>a</key><true/>"),
		"an unknown value": plistOf("<key>a</key><maybe/>"),
		"text in between":  plistOf("text"),
		"text in a truth":  plistOf("<key>a</key><true>no</true>"),
		"no base64":        plistOf("<key>a</key><data>!</data>"),
		"a prefix":         plistOf("<x:key>a</x:key><true/>"),
		"a declaration":    plistOf("<!DOCTYPE x><key>a</key><true/>"),
		"an instruction":   plistOf("<?x?><key>a</key><true/>"),
		"an entity":        plistOf("<key>a</key><string>&x;</string>"),
		"a deep one":       plistOf("<key>a</key>" + strings.Repeat("<array>", 100) + strings.Repeat("</array>", 100)),
		"a large one":      plistOf(strings.Repeat(" ", maxPlist)),
	} {
		if list, err := parsePlist(bad); err == nil {
			t.Errorf("%s: %v", name, list)
		}
	}
}

// tlv is a DER element.
func tlv(tag byte, content ...[]byte) []byte {
	body := slices.Concat(content...)
	return append([]byte{tag, byte(len(body))}, body...)
}

func TestEntitlementsInDER(t *testing.T) {
	text := func(s string) []byte { return tlv(0x0c, []byte(s)) }
	pair := func(key string, value []byte) []byte { return tlv(0x30, text(key), value) }
	top := func(pairs ...[]byte) []byte { return tlv(0x70, tlv(2, []byte{1}), tlv(0xb0, pairs...)) }
	truth, seven := tlv(1, []byte{0xff}), tlv(2, []byte{7})

	list, err := parseEntitlementsDER(top(pair("a", truth), pair("b", tlv(0x30, text("x"), text("y"))), pair("c", tlv(0xb0, pair("z", seven))), pair("d", tlv(4, []byte("data")))))
	if err != nil {
		t.Fatal(err)
	}
	inner, _ := list["c"].(map[string]any)
	data, _ := list["d"].([]byte)
	if members, _ := list["b"].([]any); list["a"] != true || len(members) != 2 || members[1] != "y" || inner["z"] != "7" || string(data) != "data" {
		t.Errorf("%v", list)
	}
	deep := truth
	for range 20 {
		deep = tlv(0x30, tlv(0x30, deep))
	}
	for name, bad := range map[string][]byte{
		"nothing":              nil,
		"more after it":        append(top(), 0),
		"cut short":            top(pair("a", truth))[:10],
		"another tag":          append([]byte{0x71}, top()[1:]...),
		"another version":      tlv(0x70, tlv(2, []byte{2}), tlv(0xb0)),
		"no dictionary":        tlv(0x70, tlv(2, []byte{1}), tlv(0x30)),
		"two dictionaries":     tlv(0x70, tlv(2, []byte{1}), tlv(0xb0), tlv(0xb0)),
		"a key twice":          top(pair("a", truth), pair("a", truth)),
		"a key that is none":   top(tlv(0x30, seven, truth)),
		"a key alone":          top(tlv(0x30, text("a"))),
		"two values":           top(tlv(0x30, text("a"), truth, truth)),
		"a truth of two bytes": top(pair("a", tlv(1, []byte{1, 1}))),
		"an unknown type":      top(pair("a", tlv(9))),
		"a deep one":           top(pair("a", deep)),
	} {
		if list, err := parseEntitlementsDER(bad); err == nil {
			t.Errorf("%s: %v", name, list)
		}
	}
}
