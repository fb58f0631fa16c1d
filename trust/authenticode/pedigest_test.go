package authenticode

import (
	"bytes"
	"cmp"
	"context"
	"crypto"
	"crypto/sha256"
	"debug/pe"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"testing"

	"kpm/core"
	"kpm/trust/trusttest"
)

// literal is the digest as the specification words it ("Calculating the PE
// Image Hash", steps 1 to 15), on top of debug/pe.
func literal(t *testing.T, b []byte) []byte {
	t.Helper()
	f, err := pe.NewFile(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	at := int(binary.LittleEndian.Uint32(b[0x3c:]))
	var sizeOfHeaders uint32
	var table pe.DataDirectory
	entry := at + 24 + 96 + 32
	switch o := f.OptionalHeader.(type) {
	case *pe.OptionalHeader32:
		sizeOfHeaders, table = o.SizeOfHeaders, o.DataDirectory[4]
	case *pe.OptionalHeader64:
		sizeOfHeaders, table = o.SizeOfHeaders, o.DataDirectory[4]
		entry += 16
	}
	h := sha256.New()
	h.Write(b[:at+24+64])               // 3. to the checksum
	h.Write(b[at+24+64+4 : entry])      // 5. from behind it to the certificate table's entry
	h.Write(b[entry+8 : sizeOfHeaders]) // 7. from behind that to the end of the headers
	hashed := int(sizeOfHeaders)        // 8. SUM_OF_BYTES_HASHED
	var sections []*pe.Section          // 9.
	for _, s := range f.Sections {
		if s.Size > 0 {
			sections = append(sections, s)
		}
	}
	slices.SortFunc(sections, func(x, y *pe.Section) int { return cmp.Compare(x.Offset, y.Offset) }) // 10.
	for _, s := range sections {                                                                     // 11. to 13.
		h.Write(b[s.Offset : s.Offset+s.Size])
		hashed += int(s.Size)
	}
	if extra := len(b) - (int(table.Size) + hashed); extra > 0 { // 14.
		h.Write(b[hashed : hashed+extra])
	}
	if table.Size == 0 { // as the file is padded before it is signed
		h.Write(make([]byte, -len(b)&7))
	}
	return h.Sum(nil)
}

// foreignDigest is what osslsigncode makes of an image, and its page hashes.
func foreignDigest(t *testing.T, b []byte) []byte {
	t.Helper()
	data := rewrite(t, ".exe", b, "extract-data", "-h", "sha256")
	_, content, ok := bytes.Cut(data, oidSHA256)
	if !ok || len(content) < 36 {
		t.Fatalf("no digest in %x", data)
	}
	return content[4:36] // NULL, OCTET STRING of 32
}

var oidSHA256 = []byte("\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01")

func digestOf(t testing.TB, b []byte, hashes ...crypto.Hash) map[crypto.Hash][]byte {
	t.Helper()
	s, err := readPE(bytes.NewReader(b), int64(len(b)))
	if err != nil || s == nil || s.malformed != nil {
		t.Fatalf("readPE: %+v, %v", s, err)
	}
	sums, err := s.digest(t.Context(), hashes)
	if err != nil {
		t.Fatal(err)
	}
	return sums
}

// images are unsigned PE images of many shapes.
func images(t testing.TB) map[string][]byte {
	return map[string][]byte{
		"PE32":                        handmade{sections: 2, overlay: 16}.bytes(),
		"PE32+":                       handmade{plus: true, sections: 2, overlay: 16}.bytes(),
		"no overlay":                  handmade{plus: true, sections: 2}.bytes(),
		"overlay not a multiple of 8": handmade{sections: 1, overlay: 13}.bytes(),
		"many sections":               handmade{plus: true, sections: 8, overlay: 3}.bytes(),
		"Go amd64":                    goProgram(t, "amd64"),
		"Go 386":                      goProgram(t, "386"),
		"Go arm64":                    goProgram(t, "arm64"),
	}
}

func TestTheDigestIsTheSpecificationsAndTheForeignSigners(t *testing.T) {
	good := trusttest.New(t).Get(trusttest.Good)
	for name, image := range images(t) {
		unsigned := digestOf(t, image, crypto.SHA256)[crypto.SHA256]
		if want := literal(t, image); !bytes.Equal(unsigned, want) {
			t.Errorf("%s: digest %x, by the specification %x", name, unsigned, want)
		}
		if want := foreignDigest(t, image); !bytes.Equal(unsigned, want) {
			t.Errorf("%s: digest %x, by osslsigncode %x", name, unsigned, want)
		}
		signed := sign(t, good, ".exe", image)
		if got := digestOf(t, signed, crypto.SHA256)[crypto.SHA256]; !bytes.Equal(got, unsigned) {
			t.Errorf("%s: signed it is %x, unsigned %x", name, got, unsigned)
		}
		if want := literal(t, signed); !bytes.Equal(unsigned, want) {
			t.Errorf("%s: signed, by the specification %x, want %x", name, want, unsigned)
		}
	}
}

// An image without sections is no program, but a file that can be signed. The
// foreign signer and the specification both hash it from end to end.
func TestAnImageWithoutSections(t *testing.T) {
	image := handmade{overlay: 64}.bytes()
	if got, want := digestOf(t, image, crypto.SHA256)[crypto.SHA256], foreignDigest(t, image); !bytes.Equal(got, want) {
		t.Errorf("digest %x, by osslsigncode %x", got, want)
	}
}

// Followed to the letter, the specification leaves bytes between sections
// unhashed and hashes as many of the last section's twice. Here, as with
// osslsigncode, a gap is signed like everything else.
func TestAGapBetweenSectionsIsSigned(t *testing.T) {
	image := handmade{sections: 2, gap: 64, overlay: 8}.bytes()
	got := digestOf(t, image, crypto.SHA256)[crypto.SHA256]
	if want := foreignDigest(t, image); !bytes.Equal(got, want) {
		t.Errorf("digest %x, by osslsigncode %x", got, want)
	}
	if bytes.Equal(got, literal(t, image)) {
		t.Error("the specification's digest is the same: there was no gap")
	}
	image[handmadeHeaders+0x200+5] ^= 1
	if bytes.Equal(got, digestOf(t, image, crypto.SHA256)[crypto.SHA256]) {
		t.Error("the gap can be changed")
	}
}

func TestAllDigestsComeFromOnePass(t *testing.T) {
	image := goProgram(t, "amd64")
	r := &counting{ReaderAt: bytes.NewReader(image)}
	s, err := readPE(r, int64(len(image)))
	if err != nil {
		t.Fatal(err)
	}
	r.read = 0
	hashes := []crypto.Hash{crypto.SHA1, crypto.SHA256, crypto.SHA384, crypto.SHA512}
	all, err := s.digest(t.Context(), hashes)
	if err != nil {
		t.Fatal(err)
	}
	if r.read != len(image) {
		t.Errorf("read %d bytes of %d", r.read, len(image))
	}
	for _, h := range hashes {
		if one := digestOf(t, image, h)[h]; !bytes.Equal(all[h], one) {
			t.Errorf("%s: %x, alone %x", h, all[h], one)
		}
	}
}

type counting struct {
	io.ReaderAt
	read int
}

func (c *counting) ReadAt(b []byte, at int64) (int, error) {
	n, err := c.ReaderAt.ReadAt(b, at)
	c.read += n
	return n, err
}

// The foreign signer sets CheckSum; an unsigned Go program has none.
func TestThePEChecksum(t *testing.T) {
	good := trusttest.New(t).Get(trusttest.Good)
	for name, image := range images(t) {
		signed := sign(t, good, ".exe", image)
		for change, want := range map[string]core.Check{
			"as signed": {Name: "PE checksum", Outcome: core.Passed},
			"changed":   {Name: "PE checksum", Outcome: core.Failed},
			"removed":   {Name: "PE checksum", Outcome: core.NotChecked},
		} {
			b := bytes.Clone(signed)
			field := b[dissect(t, b).checksum:][:4]
			switch change {
			case "changed":
				field[0] ^= 1
			case "removed":
				clear(field)
			}
			s, err := readPE(bytes.NewReader(b), int64(len(b)))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := s.digest(t.Context(), nil); err != nil {
				t.Fatal(err)
			}
			if got := s.checks(); len(got) != 1 || got[0].Name != want.Name || got[0].Outcome != want.Outcome {
				t.Errorf("%s, %s: %+v", name, change, got)
			}
		}
	}
}

var foreignChecksum = regexp.MustCompile(`Calculated PE checksum: ([0-9A-F]{8})`)

func TestTheChecksumIsTheForeignVerifiers(t *testing.T) {
	for name, image := range images(t) {
		if len(image)%2 != 0 {
			continue // osslsigncode forgets the last byte; signed files are even
		}
		_, out := newPeer(t, trusttest.New(t)).accepts(t, ".exe", image)
		found := foreignChecksum.FindStringSubmatch(out)
		if found == nil {
			t.Fatalf("%s: %s", name, out)
		}
		var sum checksum
		sum.write(image)
		optional := int(binary.LittleEndian.Uint32(image[dosHeaderNew:])) + coffSize
		field := binary.LittleEndian.Uint32(image[optional+optionalChecksum:])
		if got := sum.of(field, int64(len(image))); fmt.Sprintf("%08X", got) != found[1] {
			t.Errorf("%s: %08X, by osslsigncode %s", name, got, found[1])
		}
	}
}

func TestAReadThatFailsIsAnErrorAndNotEvidence(t *testing.T) {
	image := sign(t, trusttest.New(t).Get(trusttest.Good), ".exe", handmade{sections: 2, overlay: 600 << 10}.bytes())
	disk := errors.New("the disk is gone")
	for at := range int64(len(image)) {
		if at%30011 != 0 && at > 1500 {
			continue
		}
		r := &failing{bytes.NewReader(image), at, disk}
		_, evidence, err := Verify(t.Context(), r, int64(len(image)), trusttest.New(t).Anchors())
		if !errors.Is(err, disk) || evidence != nil {
			t.Fatalf("failing at %d: %v, %v", at, evidence, err)
		}
	}
	_, evidence, err := Verify(t.Context(), bytes.NewReader(image[:400<<10]), int64(len(image)), trusttest.New(t).Anchors())
	if !errors.Is(err, io.ErrUnexpectedEOF) || evidence != nil {
		t.Errorf("a file that has become shorter: %v, %v", evidence, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, evidence, err = Verify(ctx, bytes.NewReader(image), int64(len(image)), trusttest.New(t).Anchors()); !errors.Is(err, context.Canceled) || evidence != nil {
		t.Errorf("cancelled: %v, %v", evidence, err)
	}
}

// failing cannot be read at offset at.
type failing struct {
	io.ReaderAt
	at  int64
	err error
}

func (f *failing) ReadAt(b []byte, at int64) (int, error) {
	if at <= f.at && f.at < at+int64(len(b)) {
		return 0, f.err
	}
	return f.ReaderAt.ReadAt(b, at)
}
