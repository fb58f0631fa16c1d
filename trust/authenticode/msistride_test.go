package authenticode

import (
	"bytes"
	"context"
	"crypto"
	"slices"
	"testing"

	"kpm/core"
	"kpm/trust/trusttest"
)

// freePackage are the parts of a package of version 3 that no signature is
// about and that this reader does not hold to a value.
func freePackage(t *testing.T, b []byte) []unsignedRange {
	t.Helper()
	free := []unsignedRange{{"minor version", span{0x18, 0x1a}}, {"transaction number", span{0x34, 0x38}}}
	add := func(name string, start, end int) {
		free = append(free, unsignedRange{name, span{int64(start), int64(end)}})
	}
	c, err := readCompound(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	directory := int(c.offset(word(b, cfbDirectoryFirst)))
	for id := range len(c.directory) / cfbEntrySize {
		at := directory + id*cfbEntrySize
		kind, name := b[at+cfbType], int(b[at+cfbNameLength])
		if kind == cfbUnused {
			add("unused entry, but that it is one", at, at+cfbType)
			add("unused entry, but that it is one", at+cfbType+1, at+cfbEntrySize)
			continue
		}
		add("behind a name", at+name, at+cfbNameLength)
		add("colour", at+cfbType+1, at+cfbLeft)
		if kind == cfbStream {
			add("class id of a stream", at+cfbCLSID, at+cfbState)
		}
		if kind == cfbRoot {
			add("times of the root", at+cfbTimes, at+cfbFirst)
			add("size of the mini stream, above what is in it", at+cfbSize, at+cfbSize+1)
		}
		if slices.ContainsFunc(c.root.children, func(e *entry) bool {
			return string(e.raw) == string(b[at:at+cfbEntrySize]) && bytes.Contains(e.name, utf16le("DigitalSignature"))
		}) {
			add("state and times of the signature", at+cfbState, at+cfbFirst)
		}
		if kind == cfbStorage || word(b, at+cfbSize) == 0 {
			add("place and size of what has none", at+cfbFirst, at+cfbEntrySize)
		}
		add("upper half of a size", at+cfbSize+4, at+cfbEntrySize)
	}
	for e := range streams(c.root) {
		last := span{}
		for part := range c.extents(e) {
			last = part
		}
		unit := int64(cfbMiniSize)
		if e.size >= cfbCutoff {
			unit = c.sectorSize()
		}
		add("behind a stream", int(last.end), int((last.end+unit-1)/unit*unit))
	}
	for sector := range c.sectors {
		if !c.used.has(sector) {
			add("unused sector", int(c.offset(sector)), int(c.offset(sector+1)))
			add("link of an unused sector", fatEntry(b, int(sector)), fatEntry(b, int(sector)+1))
		}
	}
	add("behind the mini stream", int(c.miniOffset(uint32(c.root.size/cfbMiniSize-1)))+cfbMiniSize, int(c.offset(c.mini[len(c.mini)-1]+1)))
	minis := int(c.root.size+cfbMiniSize-1) / cfbMiniSize
	miniFAT := int(c.offset(word(b, cfbMiniFATFirst)))
	add("links of mini sectors that are not there", miniFAT+4*minis, miniFAT+512)
	return free
}

// Every byte of a signed package, one bit turned over in each: the package is
// not Trusted any more, or the byte is one of those that no signature is about.
func TestOneBitInEveryByteOfASignedPackage(t *testing.T) {
	root := signTree(t, smallPackage(), "-add-msi-dse")
	file := layout{free: [][]byte{noise(512)}}.write(root)
	strideSubject(t, file, readMSI, freePackage(t, file))
}

// strideSubject turns over one bit in every byte of file. What changes neither
// signature nor digest must be free. What the bytes of a signature are worth
// is not the container's business (TestOneBitInEveryByteOfASignedImage).
func strideSubject(t *testing.T, file []byte, read reader, free []unsignedRange) {
	t.Helper()
	a := trusttest.New(t).Anchors()
	if _, evidence := verify(t, a, file); standing(evidence) != core.Trusted {
		t.Fatalf("untouched: %+v", evidence)
	}
	before, sum := readWhole(t, file, read)
	left := 0
	for at := range file {
		changed := bytes.Clone(file)
		changed[at] ^= 1 << (at % 8)
		after, is := readWhole(t, changed, read)
		if after == nil || after.malformed != nil || len(after.signatures) == 0 || after.unproven != "" ||
			!bytes.Equal(is, sum) || !bytes.Equal(before.signatures[0], after.signatures[0]) {
			continue
		}
		if !slices.ContainsFunc(free, func(r unsignedRange) bool { return r.start <= int64(at) && int64(at) < r.end }) {
			t.Errorf("a bit at %#x does not matter", at)
		}
		left++
	}
	if left == 0 && len(free) > 0 {
		t.Error("no byte is free")
	}
	t.Logf("%d bytes, %d of them free", len(file), left)
}

// readWhole reads a file and its digest.
func readWhole(t *testing.T, file []byte, read reader) (*subject, []byte) {
	t.Helper()
	s, err := read(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	if s == nil || s.malformed != nil || s.digest == nil {
		return s, nil
	}
	sums, err := s.digest(context.Background(), []crypto.Hash{crypto.SHA256})
	if err != nil {
		t.Fatal(err)
	}
	return s, sums[crypto.SHA256]
}

// A signature without MsiDigitalSignatureEx is about what the streams hold,
// one after the other. So many packages have it that it proves none of them,
// and one that was made without MsiDigitalSignatureEx from one that has it.
func TestSignatureWithoutNamesProvesNothing(t *testing.T) {
	pki := trusttest.New(t)
	foreign := newPeer(t, pki)
	for _, x := range []struct {
		name   string
		args   []string
		change func(root *cfbObject)
	}{
		{"nothing", nil, func(*cfbObject) {}},
		{"a stream renamed", nil, func(root *cfbObject) { root.at("Property").name = "Propertx" }},
		{"a stream's time", nil, func(root *cfbObject) { root.at("Property").times[0]++ }},
		{"an empty stream added", nil, func(root *cfbObject) { root.kids = append(root.kids, streamOf("CustomAction", nil)) }},
		{"a byte for the neighbour", nil, func(root *cfbObject) {
			a, b := root.at("Property"), root.at("Sub", msiSignature)
			a.data, b.data = a.data[:64], append([]byte{a.data[64]}, b.data...)
		}},
		{"the digest of names comes first under another name", []string{"-add-msi-dse"}, func(root *cfbObject) {
			root.at(msiSignatureEx).name = "\x01"
			root.at("Property").name = "Propertx"
		}},
		{"the digest of names by SHA-1", []string{"-add-msi-dse", "-h", "sha1"}, func(*cfbObject) {}},
	} {
		root := signTree(t, smallPackage(), x.args...)
		x.change(root)
		file := layout{}.write(root)
		if _, evidence := verify(t, pki.Anchors(), file); standing(evidence) != core.Untrusted {
			t.Errorf("%s: %+v", x.name, evidence)
		}
		if ok, printed := foreign.accepts(t, ".msi", file); !ok {
			t.Errorf("%s: osslsigncode refuses: %s", x.name, printed)
		}
	}
}
