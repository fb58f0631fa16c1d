package macho

import (
	"bytes"
	"encoding/asn1"
	"encoding/binary"
	"slices"
	"strings"
	"testing"

	"kpm/core"
	"kpm/trust/trusttest"
)

// TestNotEvenWithAKey makes signatures that verify, by someone trusted, over
// code directories that leave something open. None may be believed: what is
// open is where others put their code.
func TestNotEvenWithAKey(t *testing.T) {
	signed := sign(t, tiny(little64(), arm64, nil), signing{})
	at := place(t, signed)
	be := binary.BigEndian
	set := func(offset int, v uint32) func(i int, cd []byte) []byte {
		return func(_ int, cd []byte) []byte { be.PutUint32(cd[offset:], v); return cd }
	}
	onlySecond := func(edit func(cd []byte) []byte) func(i int, cd []byte) []byte {
		return func(i int, cd []byte) []byte {
			if i == 1 {
				return edit(cd)
			}
			return cd
		}
	}
	requirements := makeSuperBlob(magicRequirements)
	entitlements := makeBlob(magicEntitlements, plistOf(""))
	constraint := makeBlob(magicConstraint, []byte("constraint"))
	// attributes of a signature with two directories, of which another one is bound
	elsewhere := recipe{identifier: "com.example.other"}.makeDirectory(signed[:at.offset], 2)
	here := func(kind uint8) []byte {
		return recipe{identifier: "com.example.tool", version: versionRuntime}.makeDirectory(signed[:at.offset], kind)
	}

	for name, c := range map[string]struct {
		recipe
		reason string
	}{
		// What the directory covers.
		"code that ends early":         {recipe{directory: set(32, uint32(at.offset)-0x1000)}, "hashes"},
		"code that ends late":          {recipe{directory: set(32, uint32(at.offset)+8)}, "covers"},
		"code of no bytes":             {recipe{directory: set(32, 0)}, "hashes"},
		"64 bits of code":              {recipe{directory: func(_ int, cd []byte) []byte { be.PutUint64(cd[56:], 1<<40); return cd }}, "hashes"},
		"64 bits of code that wrap":    {recipe{directory: func(_ int, cd []byte) []byte { be.PutUint64(cd[56:], 1<<63); return cd }}, "hashes"},
		"a page less":                  {recipe{directory: func(_ int, cd []byte) []byte { be.PutUint32(cd[28:], be.Uint32(cd[28:])-1); return cd }}, "hashes"},
		"a page more":                  {recipe{directory: func(_ int, cd []byte) []byte { be.PutUint32(cd[28:], be.Uint32(cd[28:])+1); return cd }}, "outside"},
		"absurdly many pages":          {recipe{directory: set(28, 0xffffffff)}, "outside"},
		"no pages":                     {recipe{directory: set(28, 0)}, "hashes"},
		"scattered pages":              {recipe{directory: set(44, 44)}, "scatters"},
		"pages of 2 KiB":               {recipe{page: 11}, "pages of"},
		"pages of 2^255 bytes":         {recipe{directory: func(_ int, cd []byte) []byte { cd[39] = 255; return cd }}, "pages of"},
		"hashes of no kind":            {recipe{directory: func(_ int, cd []byte) []byte { cd[37] = 0; return cd }}, "hashes of type"},
		"hashes of an unknown kind":    {recipe{directory: func(_ int, cd []byte) []byte { cd[37] = 5; return cd }}, "hashes of type"},
		"hashes cut short":             {recipe{directory: func(_ int, cd []byte) []byte { cd[36] = 4; return cd }}, "hashes of type"},
		"hashes of no bytes":           {recipe{directory: func(_ int, cd []byte) []byte { cd[36] = 0; return cd }}, "hashes of type"},
		"hashes in the header":         {recipe{directory: set(16, 8)}, "outside"},
		"hashes beyond the end":        {recipe{directory: set(16, 0xfffffff0)}, "outside"},
		"more special slots than fit":  {recipe{directory: set(24, 63)}, "outside"},
		"absurdly many special slots":  {recipe{directory: set(24, 0xffffffff)}, "outside"},
		"a wrong page hash":            {recipe{directory: func(_ int, cd []byte) []byte { cd[len(cd)-1] ^= 1; return cd }}, "changed after"},
		"a directory without a header": {recipe{directory: func(_ int, cd []byte) []byte { return makeBlob(magicDirectory, nil) }}, "does not begin"},
		"another magic":                {recipe{directory: set(0, 0xfade0c03)}, "does not begin"},
		"a version from before":        {recipe{directory: set(8, 0x20000)}, "version"},
		"a version to come":            {recipe{directory: set(8, 0x30000)}, "version"},
		"a version longer than it":     {recipe{directory: func(_ int, cd []byte) []byte { cd = cd[:50]; be.PutUint32(cd[4:], 50); return cd }}, "cut short"},
		"linkage outside":              {recipe{version: versionLinkage, directory: set(100, 0xffffffff)}, "linkage"},

		// Names.
		"no identifier":         {recipe{directory: set(20, 0)}, "name"},
		"an identifier outside": {recipe{directory: set(20, 0xffffffff)}, "name"},
		"an empty identifier":   {recipe{directory: func(_ int, cd []byte) []byte { cd[sizeLinkage] = 0; return cd }}, "name"},
		"an endless identifier": {recipe{directory: func(_ int, cd []byte) []byte {
			be.PutUint32(cd[20:], uint32(len(cd)-1))
			cd[len(cd)-1] = 'x'
			return cd
		}}, "name"},
		"a long identifier":       {recipe{identifier: strings.Repeat("x", maxIdentifier+1)}, "name"},
		"an identifier in colour": {recipe{identifier: "com.example\x1b[31m"}, "name"},
		"an identifier reversed":  {recipe{identifier: "com.example\u202e"}, "name"},
		"an identifier no text":   {recipe{identifier: "com.example\xff"}, "name"},
		"a team outside":          {recipe{directory: set(48, 0xffffffff)}, "name"},

		// Slots.
		"a slot that lacks its part":       {recipe{specials: map[int][]byte{slotEntitlements: entitlements}}, "taken out"},
		"a slot beyond all":                {recipe{specials: map[int][]byte{12: []byte("?")}}, "taken out"},
		"a part that lacks its slot":       {recipe{blobs: map[int][]byte{slotEntitlements: entitlements}, outside: map[uint32]bool{slotEntitlements: true}}, "does not cover"},
		"a constraint that lacks its slot": {recipe{blobs: map[int][]byte{9: constraint}, outside: map[uint32]bool{9: true}}, "does not cover"},
		"a constraint that lacks its part": {recipe{specials: map[int][]byte{slotLibraries: constraint}}, "taken out"},
		"entitlements that are none":       {recipe{blobs: map[int][]byte{slotEntitlements: requirements}}, "something else"},
		"requirements that are none":       {recipe{blobs: map[int][]byte{slotRequirements: entitlements}}, "something else"},
		"a constraint that is none":        {recipe{blobs: map[int][]byte{slotConstraints: entitlements}}, "something else"},
		"a part for the Info.plist":        {recipe{blobs: map[int][]byte{slotInfoPlist: entitlements}}, "nothing covers"},
		"a message that is none":           {recipe{adHoc: true, blobs: map[int][]byte{slotCMS: entitlements}}, "something else"},
		"requirements cut short":           {recipe{blobs: map[int][]byte{slotRequirements: makeBlob(magicRequirements, nil)}}, "begin"},
		"requirements for nothing":         {recipe{blobs: map[int][]byte{slotRequirements: makeSuperBlob(magicRequirements, indexed{9, always()})}}, "unknown purpose"},
		"a requirement that goes on":       {recipe{blobs: map[int][]byte{slotRequirements: designated(append(always()[blobHeaderSize:], 0, 0, 0, 1))}}, "goes on"},

		// The message.
		"a message about something else": {recipe{message: func(cd []byte) []byte { return append(cd, 0) }}, "not about this file"},
		"no message and not ad hoc":      {recipe{adHoc: true}, "taken out"},
		"a message that is no message":   {recipe{cms: func([]byte) []byte { return []byte{0x30, 0} }}, "damaged"},
		"a message with data after it":   {recipe{cms: func(der []byte) []byte { return append(der, 1) }}, "damaged"},

		// Several directories.
		"two of one kind":             {recipe{kinds: []uint8{2, 2}}, "two code directories"},
		"one that nobody bound":       {recipe{kinds: []uint8{1, 2}, bare: true}, "leaves open"},
		"only the first bound":        {recipe{kinds: []uint8{1, 2}, attributes: [][]byte{agilityPlist(here(1)), agilityDigests(here(1))}}, "not about the code directories"},
		"another one bound":           {recipe{kinds: []uint8{1, 2}, attributes: [][]byte{agilityDigests(here(1), elsewhere)}}, "not about the code directories"},
		"another one bound by plist":  {recipe{kinds: []uint8{1, 2}, attributes: [][]byte{agilityPlist(here(1), elsewhere)}}, "not about the code directories"},
		"one that was taken out":      {recipe{attributes: [][]byte{agilityPlist(here(2), here(1))}}, "not about the code directories"},
		"a plist that is none":        {recipe{attributes: [][]byte{trusttest.Attribute(oidAgilityPlist, trusttest.Encode([]byte("<plist>")))}}, "not about the code directories"},
		"digests that are none":       {recipe{attributes: [][]byte{trusttest.Attribute(oidAgility, trusttest.Encode(7))}}, "not about the code directories"},
		"one that covers less":        {recipe{kinds: []uint8{1, 2}, directory: onlySecond(func(cd []byte) []byte { be.PutUint32(cd[32:], 0x2000); return cd })}, "hashes"},
		"one with another identifier": {recipe{kinds: []uint8{1, 2}, directory: onlySecond(func(cd []byte) []byte { cd[sizeLinkage] = 'X'; return cd })}, "disagree"},
		"one with other flags":        {recipe{kinds: []uint8{1, 2}, directory: onlySecond(func(cd []byte) []byte { cd[13] = 1; return cd })}, "disagree"},
		"one with other code":         {recipe{kinds: []uint8{1, 2}, directory: onlySecond(func(cd []byte) []byte { cd[len(cd)-1] ^= 1; return cd })}, "changed after"},
		"one without the entitlements": {recipe{kinds: []uint8{1, 2}, blobs: map[int][]byte{slotEntitlements: entitlements},
			directory: onlySecond(func(cd []byte) []byte { clear(cd[be.Uint32(cd[16:])-5*32:][:32]); return cd })}, "does not cover"},
	} {
		t.Run(name, func(t *testing.T) {
			want(t, anchors(t), forge(t, signed, c.recipe), core.Broken, c.reason)
		})
	}
}

func always() []byte {
	return makeBlob(magicRequirement, []byte{0, 0, 0, requirementForm, 0, 0, 0, byte(opTrue)})
}

// designated is a set of requirements whose designated one is form and
// expression.
func designated(requirement []byte) []byte {
	return makeSuperBlob(magicRequirements, indexed{requirementDesignated, makeBlob(magicRequirement, requirement)})
}

// TestEveryBit flips a bit in every byte of the signature, and in as many as
// time allows of the code.
func TestEveryBit(t *testing.T) {
	by := developerEC(t, trusttest.TeamID)
	signed := sign(t, tiny(little64(), arm64, nil), signing{by: by, team: trusttest.TeamID,
		entitlements: plistOf("<key>a</key><true/>"), entitlementsDER: derTrue("a")})
	a := anchors(t)
	at := place(t, signed)
	want(t, a, signed, core.Trusted, "")

	// What the signer's message is not about, and so may change without making
	// the file another one.
	message := int(at.offset) + bytes.Index(signed[at.offset:], []byte{0xfa, 0xde, 0x0b, 0x01})
	within := func(part []byte) func(i int) bool {
		from := message + bytes.LastIndex(signed[message:], part)
		return func(i int) bool { return from >= message && i >= from && i < from+len(part) }
	}
	leaf := within(by.Certificate.Raw)
	// With another certificate of the same key the signature is intact, and
	// with another algorithm nobody can tell: neither is Trusted.
	unknownSigner := []func(i int) bool{leaf, within(trusttest.Encode(asn1.ObjectIdentifier{1, 2, 840, 10045, 2, 1}))}
	// These say nothing: the other certificates that come along are looked at
	// only to find a path, the version and the parameters of algorithms that
	// have none not at all.
	issuer := within(by.Issuer.Certificate.Raw)
	version := message + bytes.LastIndex(signed[message:], by.Certificate.RawIssuer) - 3
	says := func(i int) bool {
		parameters := i > message && signed[i+1] == 0 && (signed[i]^1<<(i%8)) == asn1.TagNull && !leaf(i)
		return !parameters && i != version && !issuer(i)
	}
	end := int(at.offset) + int(binary.BigEndian.Uint32(signed[at.offset+4:]))

	for i := range signed {
		if uint64(i) < at.offset && i%61 != 0 {
			continue
		}
		if i > message+0x1000 && i%16 != 0 && i < len(signed)-16 { // zeros to the end
			continue
		}
		signed[i] ^= 1 << (i % 8)
		for _, e := range judge(t, a, signed) {
			unknown := e.Standing == core.Untrusted && slices.ContainsFunc(unknownSigner, func(in func(int) bool) bool { return in(i) })
			if i >= end { // said to be covered by nothing
				if e.Standing != core.Trusted || outcome(e, "behind the signature").Outcome != core.NotChecked {
					t.Errorf("byte 0x%x behind the signature: %v, %s, %v", i, e.Standing, e.Reason, e.Checks)
				}
				continue
			}
			if e.Standing != core.Broken && !unknown && says(i) {
				t.Errorf("byte 0x%x (message %+#x): %v, %s", i, i-message, e.Standing, e.Reason)
			}
		}
		signed[i] ^= 1 << (i % 8)
	}
}

// TestBitsOfARealProgram does the same with what a compiler made.
func TestBitsOfARealProgram(t *testing.T) {
	signed := sign(t, program(t, "arm64"), signing{team: trusttest.TeamID, flags: flagRuntime})
	a := anchors(t)
	at := place(t, signed)
	flip := func(i int) {
		signed[i] ^= 1 << (i % 8)
		for _, e := range judge(t, a, signed) {
			if e.Standing != core.Broken {
				t.Errorf("byte 0x%x of 0x%x: %v, %s", i, at.offset, e.Standing, e.Reason)
			}
		}
		signed[i] ^= 1 << (i % 8)
	}
	for i := 0; i < int(at.offset); i += 4099 { // coprime to every page size
		flip(i)
	}
	for i := int(at.offset); i < int(at.offset)+64; i++ {
		flip(i)
	}
	want(t, a, signed, core.Trusted, "") // as it was
}
