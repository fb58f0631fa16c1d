package packages

import (
	"bytes"
	"context"
	"crypto"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"math"
	"os"
	"slices"
	"testing"
	"time"

	"kpm/core"
)

// assembled is a header taken apart: every entry with its own data.
type assembled struct {
	index [][]byte
	data  []byte
}

func takeApart(blob []byte) assembled {
	n := int(binary.BigEndian.Uint32(blob))
	var a assembled
	for i := range n {
		a.index = append(a.index, slices.Clone(blob[8+16*i:24+16*i]))
	}
	a.data = slices.Clone(blob[8+16*n:])
	return a
}

func (a assembled) blob() []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(len(a.index)))
	b = binary.BigEndian.AppendUint32(b, uint32(len(a.data)))
	return append(append(b, bytes.Join(a.index, nil)...), a.data...)
}

// find returns the index entry of a tag, to change it.
func (a assembled) find(tag uint32) []byte {
	for _, e := range a.index {
		if binary.BigEndian.Uint32(e) == tag {
			return e
		}
	}
	return nil
}

// put adds an entry as rpm does, after everything that is signed, in place of
// one that rpm has added.
func (a *assembled) put(tag, kind, count uint32, data []byte) {
	a.drop(tag)
	e := binary.BigEndian.AppendUint32(nil, tag)
	e = binary.BigEndian.AppendUint32(e, kind)
	for len(a.data)%4 != 0 {
		a.data = append(a.data, 0)
	}
	e = binary.BigEndian.AppendUint32(e, uint32(len(a.data)))
	a.index = append(a.index, binary.BigEndian.AppendUint32(e, count))
	a.data = append(a.data, data...)
}

// region returns how many entries are signed, and how many bytes of data.
func (a assembled) region(t testing.TB) (entries, size int) {
	t.Helper()
	n, size, err := region(bytes.Join(a.index, nil), a.data)
	if err != nil {
		t.Fatal(err)
	}
	return n / 16, size
}

func (a *assembled) drop(tag uint32) {
	entries := -int(int32(binary.BigEndian.Uint32(a.data[binary.BigEndian.Uint32(a.index[0][8:])+8:]))) / 16
	for i := len(a.index) - 1; i >= entries; i-- {
		if binary.BigEndian.Uint32(a.index[i]) == tag {
			a.index = slices.Delete(a.index, i, i+1)
		}
	}
}

func number(b []byte, field int, value uint32) { binary.BigEndian.PutUint32(b[4*field:], value) }

func stringsOf(list ...string) (data []byte) {
	for _, s := range list {
		data = append(append(data, s...), 0)
	}
	return data
}

// Each of these is what somebody who can write to rpm's database, and has no key
// of a vendor's, may make of a package that a vendor has signed. The file is not
// the vendor's any more; nobody says that it is.
func TestManipulatedHeaders(t *testing.T) {
	t.Parallel()
	s, v, stranger := newSystem(t), newVendor(t, "rsa2048"), newVendor(t, "ed25519")
	files := map[string]string{"/usr/bin/hello": "hello", "/usr/bin/other": "other", "/etc/hello.conf": "c"}
	s.rpm("-i", s.sign(v, s.build("hello", files, "", "")))
	s.rpm("-i", s.sign(v, s.build("second", map[string]string{"/usr/bin/second": "second"}, "", "")))
	keys := v.keyring(t)
	db := trusting(s, keys)
	original := s.blob(1)
	second := takeApart(s.blob(2))
	const evil = "evil"
	evilSum := crypto.SHA256.New()
	evilSum.Write([]byte(evil))
	evilDigest := hex.EncodeToString(evilSum.Sum(nil))
	helloSum := crypto.SHA256.New()
	helloSum.Write([]byte("hello"))
	helloDigest := hex.EncodeToString(helloSum.Sum(nil))

	signature := func(a assembled) []byte {
		h, err := ReadHeader(a.blob())
		if err != nil {
			t.Fatal(err)
		}
		return h.added[tagRSAHeader].bytes(typeBin)
	}
	good := takeApart(original)
	entries, size := good.region(t)
	forged := func(a *assembled) { // the digest of the evil file, in the place of the vendor's
		a.data = bytes.Replace(a.data, []byte(helloDigest), []byte(evilDigest), 1)
	}
	resign := func(a *assembled, v vendor) {
		h, err := ReadHeader(a.blob())
		if err != nil {
			t.Fatal(err)
		}
		made := v.Sign(v.key, h.signed)
		a.put(tagRSAHeader, typeBin, uint32(len(made)), made)
	}
	files3 := func(a *assembled, digest string) { // a second list of files
		a.put(tagBaseNames, typeStringArray, 1, stringsOf("hello"))
		a.put(tagDirIndexes, typeInt32, 1, []byte{0, 0, 0, 0})
		a.put(tagDirNames, typeStringArray, 1, stringsOf("/usr/bin/"))
		a.put(tagFileDigests, typeStringArray, 1, stringsOf(digest))
		a.put(tagFileFlags, typeInt32, 1, []byte{0, 0, 0, 0})
	}
	trailer := int(binary.BigEndian.Uint32(good.index[0][8:]))
	type test struct {
		change   func(a *assembled)
		rank     core.Rank
		standing core.Standing
	}
	broken := func(f func(a *assembled)) test { return test{f, core.RankRecorded, core.Broken} }
	cases := map[string]test{
		"nothing but the file":                  {func(a *assembled) {}, core.RankPackaged, core.Broken},
		"a forged digest":                       broken(forged),
		"a forged digest, without a signature":  {func(a *assembled) { forged(a); a.drop(tagRSAHeader) }, core.RankRecorded, core.Trusted},
		"a forged digest, signed by a stranger": {func(a *assembled) { forged(a); resign(a, stranger) }, core.RankRecorded, core.Trusted},
		"the signature of another package": broken(func(a *assembled) {
			forged(a)
			a.put(tagRSAHeader, typeBin, uint32(len(signature(second))), signature(second))
		}),
		"two signatures, one of a stranger": broken(func(a *assembled) {
			forged(a)
			made := stranger.Sign(stranger.key, []byte("x"))
			a.put(tagDSAHeader, typeBin, uint32(len(made)), made)
		}),
		"the signature cut":                     broken(func(a *assembled) { number(a.find(tagRSAHeader), 3, 20) }),
		"the signature called a string":         {func(a *assembled) { forged(a); number(a.find(tagRSAHeader), 1, typeString) }, core.RankRecorded, core.Trusted},
		"a signature in base64 that is not one": broken(func(a *assembled) { a.put(tagOpenPGP, typeStringArray, 1, stringsOf("****")) }),
		"a signature in base64 of something else": broken(func(a *assembled) {
			a.put(tagOpenPGP, typeStringArray, 1, stringsOf(base64.StdEncoding.EncodeToString(signature(second))))
		}),
		"a second list of files":             {func(a *assembled) { files3(a, evilDigest) }, core.RankPackaged, core.Broken},
		"a second digest algorithm":          {func(a *assembled) { a.put(tagFileDigestAlgo, typeInt32, 1, []byte{0, 0, 0, 1}) }, core.RankPackaged, core.Broken},
		"a second name":                      {func(a *assembled) { a.put(tagName, typeString, 1, stringsOf("x")) }, core.RankPackaged, core.Broken},
		"a second region":                    broken(func(a *assembled) { a.put(tagImmutable, typeBin, 16, make([]byte, 16)) }),
		"a region that ends earlier":         broken(func(a *assembled) { binary.BigEndian.PutUint32(a.data[trailer+8:], uint32(-int32(16*(entries-3)))) }),
		"a region of one entry":              broken(func(a *assembled) { binary.BigEndian.PutUint32(a.data[trailer+8:], uint32(math.MaxUint32-15)) }),
		"a region of no entry":               broken(func(a *assembled) { binary.BigEndian.PutUint32(a.data[trailer+8:], 0) }),
		"a region of all entries":            broken(func(a *assembled) { binary.BigEndian.PutUint32(a.data[trailer+8:], uint32(-int32(16*len(a.index)))) }),
		"a region of more entries":           broken(func(a *assembled) { binary.BigEndian.PutUint32(a.data[trailer+8:], uint32(-int32(16*len(a.index)+16))) }),
		"a region of the most entries":       broken(func(a *assembled) { binary.BigEndian.PutUint32(a.data[trailer+8:], 1<<31) }),
		"a region of entries and a half":     broken(func(a *assembled) { binary.BigEndian.PutUint32(a.data[trailer+8:], uint32(-int32(16*entries-8))) }),
		"a trailer of another tag":           broken(func(a *assembled) { a.data[trailer+3] = 62 }),
		"a trailer of another type":          broken(func(a *assembled) { a.data[trailer+7] = 6 }),
		"a trailer of another size":          broken(func(a *assembled) { a.data[trailer+15] = 15 }),
		"a region called an image":           broken(func(a *assembled) { number(a.index[0], 0, 61); a.data[trailer+3] = 61 }),
		"a region that lies elsewhere":       broken(func(a *assembled) { number(a.index[0], 2, uint32(trailer-16)) }),
		"a region beyond the end":            broken(func(a *assembled) { number(a.index[0], 2, uint32(len(a.data)-15)) }),
		"a region at the last byte there is": broken(func(a *assembled) { number(a.index[0], 2, math.MaxUint32) }),
		"a region of 17 bytes":               broken(func(a *assembled) { number(a.index[0], 3, 17) }),
		"a region that is a string":          broken(func(a *assembled) { number(a.index[0], 1, typeString) }),
		"no region":                          broken(func(a *assembled) { a.index = a.index[1:] }),
		"a copy of the region": broken(func(a *assembled) { // the signed one as data, another before it
			at := uint32(len(a.data))
			a.data = append(a.data, a.data[trailer:size]...)
			binary.BigEndian.PutUint32(a.data[at+8:], uint32(-int32(16*len(a.index))))
			number(a.index[0], 2, at)
		}),
		"an added entry that points into the region":   broken(func(a *assembled) { number(a.find(tagRSAHeader), 2, 0) }),
		"an added entry beyond the end":                broken(func(a *assembled) { number(a.find(tagRSAHeader), 2, uint32(len(a.data))) }),
		"an added entry twice":                         broken(func(a *assembled) { a.index = append(a.index, a.index[len(a.index)-1]) }),
		"an entry of the region twice":                 broken(func(a *assembled) { copy(a.index[2], a.index[1]) }),
		"an entry of the region that points behind it": broken(func(a *assembled) { number(a.find(tagFileDigests), 2, uint32(size)) }),
		"an entry of the region moved":                 broken(func(a *assembled) { a.index[1], a.index[2] = a.index[2], a.index[1] }),
		"more digests than files":                      broken(func(a *assembled) { number(a.find(tagFileDigests), 3, 4) }),
		"four billion files":                           broken(func(a *assembled) { number(a.find(tagBaseNames), 3, math.MaxUint32) }),
		"four billion numbers":                         broken(func(a *assembled) { number(a.find(tagDirIndexes), 3, math.MaxUint32) }),
		"names that are numbers":                       broken(func(a *assembled) { number(a.find(tagBaseNames), 1, typeInt32) }),
		"an algorithm that nobody knows":               broken(func(a *assembled) { a.data[binary.BigEndian.Uint32(a.find(tagFileDigestAlgo)[8:])+3] = 99 }),
		"two algorithms":                               broken(func(a *assembled) { number(a.find(tagFileDigestAlgo), 3, 2) }),
		"a directory that is none": broken(func(a *assembled) {
			copy(a.data[binary.BigEndian.Uint32(a.find(tagDirIndexes)[8:]):], bytes.Repeat([]byte{255}, 12))
		}),
		"a digest in other letters": broken(func(a *assembled) {
			a.data = bytes.Replace(a.data, []byte(helloDigest), bytes.Repeat([]byte("z"), 64), 1)
		}),
		"a shorter digest": broken(func(a *assembled) {
			a.data = bytes.Replace(a.data, []byte(helloDigest), append(make([]byte, 24), helloDigest[:40]...), 1)
		}),
		"no files":          {func(a *assembled) { a.data = bytes.Replace(a.data, []byte("hello\x00"), []byte("hullo\x00"), 20) }, core.RankNone, core.Untrusted},
		"another package's": {func(a *assembled) { *a = second }, core.RankNone, core.Untrusted},
	}
	s.write("/usr/bin/hello", evil)
	for name, c := range cases {
		a := takeApart(original)
		c.change(&a)
		e, ok := db.judge(context.Background(), a.blob(), "/usr/bin/hello", s.digest("/usr/bin/hello"))
		if ok != (c.rank != core.RankNone) || ok && (e.Rank != c.rank || e.Standing != c.standing) {
			t.Errorf("%s: %v, %v %v %q %+v", name, ok, e.Rank, e.Standing, e.Reason, e.Checks)
		}
		if e.Standing == core.Trusted && e.Rank > core.RankRecorded {
			t.Errorf("%s: the evil file is trusted", name)
		}
		// And the database as a whole says the same.
		s.setBlob(1, a.blob())
		s.expectRPM(name, s.ask(db, "/usr/bin/hello"), c.rank, c.standing, e.Reason)
	}
	if len(cases) < 45 {
		t.Errorf("%d manipulations", len(cases))
	}
	for name, blob := range map[string][]byte{
		"nothing": nil, "seven bytes": original[:7], "counts alone": original[:8], "cut": original[:len(original)-1],
		"one byte more": append(slices.Clone(original), 0), "zeros": make([]byte, 1000), "ones": bytes.Repeat([]byte{255}, 1000),
		"too many entries": append([]byte{0, 1, 0, 0}, original[4:]...), "data of four gigabytes": append(slices.Clone(original[:4]), append([]byte{255, 255, 255, 255}, original[8:]...)...),
	} {
		if h, err := ReadHeader(blob); !errors.Is(err, errMalformed) {
			t.Errorf("%s: %v, %v", name, h, err)
		}
	}
}

func (s *system) digest(name string) Digest {
	return func(_ context.Context, h crypto.Hash) ([]byte, error) {
		data, err := os.ReadFile(s.path(name))
		hash := h.New()
		hash.Write(data)
		return hash.Sum(nil), err
	}
}

// A header that a trusted key has signed is, bit for bit, the one that it has
// signed.
func TestEveryByteOfAHeaderCounts(t *testing.T) {
	t.Parallel()
	s, v := newSystem(t), newVendor(t, "ed25519")
	s.rpm("-i", s.sign(v, s.build("p", map[string]string{"/usr/bin/p": "p"}, "", "")))
	db := trusting(s, v.keyring(t))
	blob, digest := s.blob(1), s.digest("/usr/bin/p")
	original, err := ReadHeader(blob)
	if err != nil {
		t.Fatal(err)
	}
	trusted := 0
	for i := range blob {
		changed := slices.Clone(blob)
		changed[i] ^= 1 << (i % 8)
		e, _ := db.judge(context.Background(), changed, "/usr/bin/p", digest)
		if e.Rank != core.RankPackaged || e.Standing != core.Trusted {
			continue
		}
		if h, err := ReadHeader(changed); err != nil || !bytes.Equal(h.signed, original.signed) {
			t.Errorf("bit %d of byte %d turned over: %+v", i%8, i, e)
		}
		trusted++
	}
	// When it was installed and the like may be anything.
	if trusted == 0 || trusted > len(blob)-len(original.signed)+16 {
		t.Errorf("%d of %d", trusted, len(blob))
	}
}

// rpm 6 keeps every signature in one tag, in base64.
func TestSignaturesAsInRPM6(t *testing.T) {
	t.Parallel()
	s, v, other := newSystem(t), newVendor(t, "ed25519"), newVendor(t, "ed25519")
	s.rpm("-i", s.build("p", map[string]string{"/usr/bin/p": "p"}, "", ""))
	a := takeApart(s.blob(1))
	h, err := ReadHeader(a.blob())
	if err != nil {
		t.Fatal(err)
	}
	encode := func(v vendor) string { return base64.StdEncoding.EncodeToString(v.Sign(v.key, h.signed)) }
	a.put(tagOpenPGP, typeStringArray, 2, stringsOf(encode(other), encode(v)))
	if h, err = ReadHeader(a.blob()); err != nil {
		t.Fatal(err)
	}
	if e, ok := h.Verify(context.Background(), v.keyring(t), time.Now()); !ok || e.Standing != core.Trusted || e.KeyID != v.key {
		t.Errorf("%v, %+v", ok, e)
	}
}

func FuzzReadHeader(f *testing.F) {
	s, v := newSystem(f), newVendor(f, "ed25519")
	s.rpm("-i", s.sign(v, s.build("p", map[string]string{"/usr/bin/p": "p"}, "", "")))
	blob, keys := s.blob(1), v.keyring(f)
	original, err := ReadHeader(blob)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(blob)
	f.Add(blob[:100])
	f.Fuzz(func(t *testing.T, data []byte) {
		h, err := ReadHeader(data)
		if err != nil {
			return
		}
		_, _, _ = h.File("/usr/bin/p")
		_ = h.Package()
		if e, ok := h.Verify(context.Background(), keys, time.Now()); ok && e.Standing == core.Trusted && !bytes.Equal(h.signed, original.signed) {
			t.Errorf("trusted: %x", data)
		}
	})
}
