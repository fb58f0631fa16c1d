package authenticode

import (
	"bytes"
	"crypto"
	"encoding/binary"
	"testing"

	"kpm/core"
	"kpm/trust/trusttest"
)

// paged are images with more than one page per section and last pages that
// are not full.
func paged(t testing.TB) map[string][]byte {
	return map[string][]byte{
		"handmade": victim.bytes(),
		"PE32":     handmade{sections: 3}.bytes(),
		"Go amd64": goProgram(t, "amd64"),
		"Go 386":   goProgram(t, "386"),
		"Go arm64": goProgram(t, "arm64"),
	}
}

func TestPageHashesAreThoseOfTheForeignSigner(t *testing.T) {
	pki := trusttest.New(t)
	for name, image := range paged(t) {
		for algorithm, want := range map[string]string{"sha1": "SHA-1", "sha256": "SHA-256", "sha384": "SHA-256"} {
			signed := sign(t, pki.Get(trusttest.Good), ".exe", image, "-ph", "-h", algorithm)
			_, evidence := verify(t, pki.Anchors(), signed)
			if len(evidence) != 1 || evidence[0].Standing == core.Broken {
				t.Errorf("%s, %s: %+v", name, algorithm, evidence)
				continue
			}
			if got := check(evidence[0], "page hashes"); got.Outcome != core.Passed || got.Detail != want {
				t.Errorf("%s, %s: %+v", name, algorithm, got)
			}
		}
	}
}

// check is the check of that name.
func check(e core.Evidence, name string) core.Check {
	for _, c := range e.Checks {
		if c.Name == name {
			return c
		}
	}
	return core.Check{}
}

// withPages is a signature by pki's good signer with this table of page hashes.
func withPages(t testing.TB, image []byte, kind []int, table []byte) []byte {
	t.Helper()
	attribute := set(seq(object(kind...), set(octet(table))))
	link := tagged(1, octet(pageHashesClass), octet(attribute.der(t)))
	data := seq(prim(3, []byte{0}), tagged(0, link))
	digest := digestOf(t, image, crypto.SHA256)[crypto.SHA256]
	signature := draft{signer: trusttest.New(t).Get(trusttest.Good), content: digestData(oidPeImageData, data, idSHA256, digest)}
	return withTable(t, image, signature.der(t))
}

// The digest of the whole file is right in all of these.
func TestPageHashesThatAreNotTheFiles(t *testing.T) {
	pki := trusttest.New(t)
	image := victim.bytes()
	table := pagesOf(t, sign(t, pki.Get(trusttest.Good), ".exe", image), crypto.SHA256)
	entry := 4 + 32
	for name, x := range map[string]struct {
		kind  []int
		table []byte
		want  string
	}{
		"as they are":         {oidPageHashesV2, table, harmless},
		"of another kind":     {oidPageHashesV1, table, broken},
		"of an unknown kind":  {idSHA256, table, broken},
		"none":                {oidPageHashesV2, nil, broken},
		"one too few":         {oidPageHashesV2, table[entry:], broken},
		"one too many":        {oidPageHashesV2, append(bytes.Clone(table), table[:entry]...), broken},
		"without the end":     {oidPageHashesV2, table[:len(table)-entry], broken},
		"not whole":           {oidPageHashesV2, table[:len(table)-1], broken},
		"of other headers":    {oidPageHashesV2, flip(5)(bytes.Clone(table)), broken},
		"of another section":  {oidPageHashesV2, flip(entry + 5)(bytes.Clone(table)), broken},
		"at another offset":   {oidPageHashesV2, flip(entry + 1)(bytes.Clone(table)), broken},
		"with an end of data": {oidPageHashesV2, flip(len(table) - 1)(bytes.Clone(table)), broken},
	} {
		_, evidence := verify(t, pki.Anchors(), withPages(t, image, x.kind, x.table))
		if got := outcome(evidence); got != x.want {
			t.Errorf("page hashes %s: %s, want %s: %+v", name, got, x.want, evidence)
		}
	}
}

func pagesOf(t testing.TB, image []byte, h crypto.Hash) []byte {
	t.Helper()
	s, err := readPE(bytes.NewReader(image), int64(len(image)))
	if err != nil {
		t.Fatal(err)
	}
	_, tables, err := s.digestPages(t.Context(), []crypto.Hash{crypto.SHA256}, []crypto.Hash{h})
	if err != nil {
		t.Fatal(err)
	}
	return tables[h]
}

// Where pages are not what all signers take them for, the page hashes are not
// looked at. The digest of the whole file is.
func TestPagesThatNobodyAgreesOnAreNotChecked(t *testing.T) {
	pki := trusttest.New(t)
	le := binary.LittleEndian
	for name, change := range map[string]func([]byte){
		"large pages":         func(b []byte) { le.PutUint32(b[optionalAt+optionalAlignment:], 0x2000) },
		"small pages":         func(b []byte) { le.PutUint32(b[optionalAt+optionalAlignment:], 0x200) },
		"large headers":       func(b []byte) { le.PutUint32(b[optionalAt+optionalHeaders:], 0x1001) },
		"no headers":          func(b []byte) { le.PutUint32(b[optionalAt+optionalHeaders:], 0) },
		"headers and section": func(b []byte) { le.PutUint32(b[optionalAt+optionalHeaders:], textAt+1) },
		"sections in disorder": func(b []byte) {
			le.PutUint32(b[sectionsAt+sectionRaw:], dataAt)
			le.PutUint32(b[sectionsAt+sectionSize+sectionRaw:], textAt)
		},
	} {
		image := victim.bytes()
		change(image)
		signed := withPages(t, image, oidPageHashesV2, []byte("whatever"))
		_, evidence := verify(t, pki.Anchors(), signed)
		if got := outcome(evidence); got != harmless || check(evidence[0], "page hashes").Outcome != core.NotChecked {
			t.Errorf("%s: %s %+v", name, got, evidence)
		}
		signed[textAt] ^= 1
		if _, evidence = verify(t, pki.Anchors(), signed); outcome(evidence) != broken {
			t.Errorf("%s, changed: %+v", name, evidence)
		}
	}
}
