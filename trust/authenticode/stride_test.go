package authenticode

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"kpm/core"
	"kpm/trust/trusttest"
)

// unsignedRange is where a bit can be turned over without anyone being told
// anything else than before.
type unsignedRange struct {
	name string
	span
}

// Every byte of a signed image, one bit turned over in each: either the file is
// not Trusted any more or the byte is one of those that no signature is about,
// and then the evidence still says the same.
func TestOneBitInEveryByteOfASignedImage(t *testing.T) {
	pki := trusttest.New(t)
	image := sign(t, pki.Get(trusttest.GoodEC), ".exe", victim.bytes())
	a := dissect(t, image)
	list := int64(a.table + bytes.Index(image[a.table:], oidSHA256))
	signer := int64(bytes.LastIndex(image, []byte{2, 1, 1, 0x30})) // INTEGER 1, and whose certificate
	stride(t, pki, image, []unsignedRange{
		{"CheckSum", span{int64(a.checksum), int64(a.checksum) + 4}},
		// Of what SignedData says before the content, which no signature is about:
		{"its version, 1 or 3", span{list - 5, list - 4}},
		{"that the digest algorithm has no parameters", span{list + int64(len(oidSHA256)), list + int64(len(oidSHA256)) + 1}},
		{"the version of what the signer says", span{signer + 2, signer + 3}},
	})
}

func stride(t *testing.T, pki *trusttest.PKI, image []byte, free []unsignedRange) {
	t.Helper()
	anchors := pki.Anchors()
	_, before := verify(t, anchors, image)
	if standing(before) != core.Trusted {
		t.Fatalf("untouched: %+v", before)
	}
	left := 0
	for at := range image {
		changed := bytes.Clone(image)
		changed[at] ^= 1 << (at % 8)
		_, after := verify(t, anchors, changed)
		if core.RankNone == (core.Provenance{Evidence: after}).Rank() {
			continue
		}
		if !slices.ContainsFunc(free, func(r unsignedRange) bool { return r.start <= int64(at) && int64(at) < r.end }) {
			t.Errorf("a bit at %#x (%d in the table) does not matter: %+v", at, at-dissect(t, image).table, after)
		}
		if !slices.EqualFunc(before, after, sameClaim) {
			t.Errorf("a bit at %#x changes what is said: %+v", at, after)
		}
		left++
	}
	t.Logf("%d bytes, %d of them free", len(image), left)
}

// The same with everything that a signature can have: time-stamp, page hashes,
// and a second signature nested in the first. One of them may still be fine
// when the other is not, or fine without its time-stamp; nobody is believed
// who was not before.
func TestOneBitInEvery11thByteOfTwoSignatures(t *testing.T) {
	pki := trusttest.New(t)
	anchors := pki.Anchors()
	image := sign(t, pki.Get(trusttest.GoodEC), ".exe", victim.bytes(), stamped(t, pki.Get(trusttest.StamperEC), "-ph", "-n", "Example")...)
	image = sign(t, pki.Get(trusttest.GoodEC), ".exe", image, "-h", "sha384", "-nest")
	_, before := verify(t, anchors, image)
	if len(before) != 2 || standing(before) != core.Trusted {
		t.Fatalf("untouched: %+v", before)
	}
	table := dissect(t, image).table // what lies before it the test above turns over
	for at := table; at < len(image); at += 11 {
		changed := bytes.Clone(image)
		changed[at] ^= 1 << (at % 8)
		_, after := verify(t, anchors, changed)
		if core.RankNone == (core.Provenance{Evidence: after}).Rank() {
			continue
		}
		for _, e := range after {
			if e.Standing != core.Trusted {
				continue
			}
			if !slices.ContainsFunc(before, func(b core.Evidence) bool { return sameClaim(b, e) || sameClaim(withoutStamp(b), e) }) {
				t.Fatalf("a bit at %#x (%d in the table) makes believe: %+v", at, at-table, e)
			}
		}
	}
}

func withoutStamp(e core.Evidence) core.Evidence {
	e.SignedAt, e.TimeStamp = time.Time{}, ""
	return e
}

// sameClaim: who signed what, how and when.
func sameClaim(a, b core.Evidence) bool {
	return a.Kind == b.Kind && a.Standing == b.Standing && a.Signer == b.Signer && a.Digest == b.Digest &&
		a.SignedAt.Equal(b.SignedAt) && a.TimeStamp == b.TimeStamp && slices.Equal(a.Chain, b.Chain)
}
