package macho

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"kpm/core"
	"kpm/trust/trusttest"
)

// theirs is what the foreign verifier says of a file.
type theirs struct {
	Error        string
	Unsigned     bool
	Subject      string
	Identifier   string
	TeamID       string
	CDHash       string
	Flags        uint32
	Requirements []string
}

// foreignVerdicts has the foreign verifier look at many files at once.
func foreignVerdicts(t *testing.T, files [][]byte) []theirs {
	t.Helper()
	dir := t.TempDir()
	args := []string{"verify"}
	for i, data := range files {
		path := filepath.Join(dir, fmt.Sprint(i))
		save(t, path, data)
		args = append(args, path)
	}
	answers := json.NewDecoder(strings.NewReader(string(runForeign(t, args...))))
	found := make([]theirs, len(files))
	for i := range found {
		if err := answers.Decode(&found[i]); err != nil {
			t.Fatal(err)
		}
	}
	return found
}

func TestForeignReaders(t *testing.T) {
	pki := trusttest.New(t)
	files := [][]byte{
		base(t),
		sign(t, program(t, "arm64"), signing{team: trusttest.TeamID, flags: flagRuntime | flagKill}),
		sign(t, program(t, "amd64"), signing{by: pki.Get(trusttest.GoodEC), identifier: "com.example.ec"}), // go-macho does not know SHA-384
		sign(t, tiny(little64(), arm64, nil), signing{requirements: requirementBlob(op(opOr, op(opNotarized), op(opAppleAnchor)))}),
		program(t, "arm64"),
	}
	for i, their := range foreignVerdicts(t, files) {
		e := judge(t, anchors(t), files[i])[0]
		_, hash, _ := strings.Cut(outcome(e, "file digest").Detail, "code directory hash ")
		// go-macho leaves the hash in full.
		if their.Identifier != e.Identifier || their.TeamID != e.TeamID || !strings.HasPrefix(their.CDHash, hash) {
			t.Errorf("%d: ours %q, team %q, hash %s; theirs %+v", i, e.Identifier, e.TeamID, hash, their)
		}
		if ours := outcome(e, "code signing flags").Detail; ours != flagNames(their.Flags) {
			t.Errorf("%d: flags %s, theirs 0x%x", i, ours, their.Flags)
		}
		if their.Subject != "" && their.Subject != lastSubject(t, files[i]) {
			t.Errorf("%d: signer %q", i, their.Subject)
		}
		for _, text := range their.Requirements {
			if ours := outcome(e, "designated requirement"); !strings.HasSuffix(ours.Detail, text) {
				t.Errorf("%d: designated requirement %q, theirs %q", i, ours.Detail, text)
			}
		}
	}
}

// lastSubject is the subject of the certificate that our evidence is about.
func lastSubject(t *testing.T, data []byte) string {
	t.Helper()
	return judge(t, anchors(t), data)[0].Chain[0].Subject
}

// TestTheSameVerdict holds every verdict against the foreign verifier's. It
// looks at no certificate chain and answers only whether the file is as it was
// signed, so ours agrees if it is not Broken. differences says where it does
// not agree and why. Whatever it alone accepts, others could have changed.
func TestTheSameVerdict(t *testing.T) {
	signed := sign(t, tiny(little64(), arm64, nil), signing{team: trusttest.TeamID, flags: flagRuntime, entitlements: plistOf("<key>a</key><true/>")})
	real := sign(t, program(t, "amd64"), signing{team: trusttest.TeamID})
	at := place(t, signed)
	type example struct {
		name string
		data []byte
		// differ says why the two do not agree.
		differ   string
		onlyOurs bool // accepts it
	}
	examples := []example{
		{"as signed", signed, "", false},
		{"a real program", real, "", false},
		{"SHA-384", sign(t, program(t, "amd64"), signing{hash: "sha384"}), "", false},
		{"by a stranger", sign(t, tiny(little64(), arm64, nil), signing{by: trusttest.New(t).Get(trusttest.Stranger)}), "", false},
		{"forged by hand", forge(t, signed, recipe{kinds: []uint8{1, 2}}), "", false},
		{"the other way round", forge(t, signed, recipe{kinds: []uint8{2, 1}}), "", false},
		{"in BER", forge(t, signed, recipe{cms: func(der []byte) []byte {
			return trusttest.Tree(der).BER(func(n *trusttest.Node) bool { return n.ID == 0xa0 && len(n.Children) > 1 })
		}}), "it reads no octet string that comes in pieces", true},
		{"cut to 160 bits", forge(t, signed, recipe{kinds: []uint8{3}}), "unknown to it", true},
		{"attributes as relic orders them", sign(t, tiny(little64(), arm64, nil), signing{asMade: true}),
			"it signs attributes in the order of its own choice; RFC 5652, section 5.4, wants DER's", false},
		{"no message", forge(t, signed, recipe{adHoc: true, flags: flagAdHoc}), "it has no word for ad hoc", true},
		{"data appended", append(slices.Clone(signed), "data"...), "what lies behind __LINKEDIT it does not look at", false},
		{"data in the padding", edited(signed, func(p []byte) { p[len(p)-1] = 1 }), "", false},
		{"a ticket", editSuperBlob(t, signed, func(parts []indexed) []indexed {
			return append(parts, indexed{0x10002, makeBlob(magicWrapper, []byte("x"))})
		}), "it takes what no hash covers", false},
		{"an unknown part", editSuperBlob(t, signed, func(parts []indexed) []indexed {
			return append(parts, indexed{0x42, makeBlob(0xfade7777, []byte("x"))})
		}), "it takes what no hash covers", false},
		{"a constraint without a slot", editSuperBlob(t, signed, func(parts []indexed) []indexed {
			return append(parts, indexed{slotConstraints, makeBlob(magicConstraint, []byte("x"))})
		}), "it takes what no hash covers", false},
		{"a constraint without its part", forge(t, signed, recipe{specials: map[int][]byte{slotConstraints: []byte("x")}}), "it does not know launch constraints", false},
		{"a slot of nothing", forge(t, signed, recipe{specials: map[int][]byte{12: []byte("x")}}), "it does not look at slots beyond 7", false},
		{"an entitlement blob without a hash", forge(t, signed, recipe{blobs: map[int][]byte{slotEntitlements: makeBlob(magicEntitlements, plistOf(""))}, outside: map[uint32]bool{slotEntitlements: true}}), "it takes what no hash covers", false},
		{"directories that nothing binds", forge(t, signed, recipe{kinds: []uint8{1, 2}, bare: true}), "the attributes are optional to it, for alternates too", false},
		{"directories that disagree", forge(t, signed, recipe{kinds: []uint8{1, 2}, directory: func(i int, cd []byte) []byte {
			if i == 1 {
				cd[sizeLinkage] = 'X'
			}
			return cd
		}}), "it compares no two directories", false},
		{"an identifier that hides", forge(t, signed, recipe{identifier: "com.example\u202e"}), "names are bytes to it", false},
		{"code that ends early", putSuperBlob(t, signed, recipe{}.make(t, signed[:0x2000])), "it does not ask what the directory leaves out", false},
	}
	for name, change := range map[string]func(p []byte){
		"code":          func(p []byte) { p[0x1800] ^= 1 },
		"the last byte": func(p []byte) { p[at.offset-1] ^= 1 },
		"the header":    func(p []byte) { p[12] ^= 4 },
		"the directory": func(p []byte) { p[at.offset+0x80] ^= 1 },
		"the SuperBlob": func(p []byte) { p[at.offset] ^= 1 },
		"the message":   func(p []byte) { p[at.offset+0xb00] ^= 1 },
		"where it lies": func(p []byte) { p[atCodeSign+8] ^= 8 },
	} {
		examples = append(examples, example{name, edited(signed, change), "", false})
	}
	for i := 0; i < int(at.offset); i += 997 {
		examples = append(examples, example{fmt.Sprintf("byte 0x%x", i), edited(signed, func(p []byte) { p[i] ^= 1 << (i % 8) }), "", false})
	}
	var files [][]byte
	for _, e := range examples {
		files = append(files, e.data)
	}
	for i, their := range foreignVerdicts(t, files) {
		intact := their.Error == "" && !their.Unsigned
		ours := len(judge(t, anchors(t), files[i])) > 0 && judge(t, anchors(t), files[i])[0].Standing != core.Broken
		switch e := examples[i]; {
		case (intact != ours) != (e.differ != ""):
			t.Errorf("%s: ours intact %v, theirs %v (%s); expected to differ: %q", e.name, ours, intact, their.Error, e.differ)
		case e.differ != "" && e.onlyOurs != ours:
			t.Errorf("%s: accepted by us %v (%s), by it %v (%s)", e.name, ours, e.differ, intact, their.Error)
		}
	}
}

func edited(p []byte, change func(p []byte)) []byte {
	p = slices.Clone(p)
	change(p)
	return p
}
