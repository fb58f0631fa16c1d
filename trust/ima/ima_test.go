package ima_test

import (
	"bytes"
	"encoding/hex"
	"slices"
	"strings"
	"testing"
	"time"

	"kpm/core"
	"kpm/trust/ima"
	"kpm/trust/trusttest"
)

func TestWhatEvmctlSigns(t *testing.T) {
	s, content := cast(t), program()
	for _, e := range []*trusttest.Entity{s.good, s.ec} {
		for algorithm, name := range map[string]string{"sha224": "SHA-224", "sha256": "SHA-256", "sha384": "SHA-384", "sha512": "SHA-512"} {
			got := only(t, content, labelled(evmctlIMA(t, content, e, algorithm)))
			if got.Standing != core.Trusted || got.Kind != core.KindIMA || got.Rank != core.RankSigned || got.Digest != name || got.Signer != e.Name || len(got.Chain) != 1 {
				t.Errorf("%s, %s: %+v", e.Name, algorithm, got)
			}
		}
	}
}

func TestNothingThere(t *testing.T) {
	for name, m := range map[string]*machine{
		"no attribute":   {},
		"not a Linux":    {missing: "*"},
		"other security": {attributes: map[string][]byte{"security.capability": {1}}},
	} {
		if found := judge(t, program(), m, cast(t).keys()); len(found) != 0 {
			t.Errorf("%s: %+v", name, found)
		}
	}
}

// Every change of the bytes or of the attribute.
func TestNoManipulatedIMASignatureIsAccepted(t *testing.T) {
	s, content := cast(t), program()
	label := evmctlIMA(t, content, s.good, "sha256")
	ec := evmctlIMA(t, content, s.ec, "sha256")
	verity := verity3(t, content, s.good, "sha256")
	size := len(content)
	for _, c := range []struct {
		name    string
		content []byte
		label   []byte
		want    core.Standing
	}{
		{"first byte of the file", flipped(content, 0), label, core.Broken},
		{"a byte in the middle", flipped(content, size/2), label, core.Broken},
		{"last byte", flipped(content, size-1), label, core.Broken},
		{"appended", append(bytes.Clone(content), 0), label, core.Broken},
		{"cut", content[:size-1], label, core.Broken},
		{"emptied", nil, label, core.Broken},
		{"another file", []byte("#!/bin/sh\n"), label, core.Broken},
		{"EC: first byte of the file", flipped(content, 0), ec, core.Broken},
		{"EC: appended", append(bytes.Clone(content), 0), ec, core.Broken},

		{"empty attribute", content, []byte{}, core.Broken},
		{"kind alone", content, label[:1], core.Broken},
		{"kind and version", content, label[:2], core.Broken},
		{"no signature", content, label[:9], core.Broken},
		{"half a header", content, label[:6], core.Broken},
		{"signature cut", content, label[:len(label)-1], core.Broken},
		{"signature cut, length told", content, header(s.good, 3, 2, 4, label[9:len(label)-1]), core.Broken},
		{"signature longer", content, append(bytes.Clone(label), 0), core.Broken},
		{"signature longer, length told", content, header(s.good, 3, 2, 4, append(bytes.Clone(label[9:]), 0)), core.Broken},
		{"leading zero, length told", content, header(s.good, 3, 2, 4, join([]byte{0}, label[9:])), core.Broken},
		{"length of 0", content, join(label[:7], []byte{0, 0}, label[9:]), core.Broken},
		{"length of 65535", content, join(label[:7], []byte{255, 255}, label[9:]), core.Broken},
		{"length in the other byte order", content, join(label[:7], []byte{label[8], label[7]}, label[9:]), core.Broken},
		{"64 KiB", content, bytes.Repeat([]byte{3, 2}, 32<<10), core.Broken},
		{"zeros", content, make([]byte, len(label)), core.Broken},
		{"signature of zeros", content, join(label[:9], make([]byte, 256)), core.Broken},
		{"signature of ones", content, join(label[:9], bytes.Repeat([]byte{255}, 256)), core.Broken},

		{"an unknown kind", content, join([]byte{7}, label[1:]), core.Broken},
		{"kind of EVM, portable", content, join([]byte{5}, label[1:]), core.Broken},
		{"kind of EVM, HMAC", content, join([]byte{2}, make([]byte, 20)), core.Broken},
		{"kind of fs-verity, version 2", content, join([]byte{6}, label[1:]), core.Broken},
		{"kind of fs-verity, version 3", content, join([]byte{6, 3}, label[2:]), core.Broken},
		{"version 0", content, join([]byte{3, 0}, label[2:]), core.Broken},
		{"version 1", content, join([]byte{3, 1}, label[2:]), core.Untrusted},
		{"version 3 of a signature of version 2", content, join([]byte{3, 3}, label[2:]), core.Broken},
		{"version 4", content, join([]byte{3, 4}, label[2:]), core.Broken},
		{"fs-verity's signature as one of the bytes", content, join([]byte{3}, verity[1:]), core.Broken},
		{"and of version 2", content, join([]byte{3, 2}, verity[2:]), core.Broken},

		{"another algorithm of that size", content, join(label[:2], []byte{20}, label[3:]), core.Untrusted},
		{"SHA-512 instead", content, join(label[:2], []byte{6}, label[3:]), core.Broken},
		{"SHA-1 instead", content, join(label[:2], []byte{2}, label[3:]), core.Broken},
		{"MD5 instead", content, join(label[:2], []byte{1}, label[3:]), core.Untrusted},
		{"no such algorithm", content, join(label[:2], []byte{23}, label[3:]), core.Broken},
		{"algorithm 255", content, join(label[:2], []byte{255}, label[3:]), core.Broken},

		{"another key's id", content, header(s.expired, 3, 2, 4, label[9:]), core.Broken},
		{"the id of a key of another kind", content, header(s.ec, 3, 2, 4, label[9:]), core.Broken},
		{"nobody's id", content, flipped(label, 6), core.Untrusted},
		{"EC signature with RSA's id", content, header(s.good, 3, 2, 4, ec[9:]), core.Broken},
		{"EC signature with bytes behind", content, header(s.ec, 3, 2, 4, append(bytes.Clone(ec[9:]), 0)), core.Broken},
		{"EC signature of nothing", content, header(s.ec, 3, 2, 4, []byte{0x30, 6, 2, 1, 0, 2, 1, 0}), core.Broken},
		{"EC signature, huge length", content, header(s.ec, 3, 2, 4, []byte{0x30, 0x84, 255, 255, 255, 255, 2, 1}), core.Broken},

		{"a stranger's signature", content, evmctlIMA(t, content, s.stranger, "sha256"), core.Untrusted},
		{"a stranger's with our id", content, header(s.good, 3, 2, 4, evmctlIMA(t, content, s.stranger, "sha256")[9:]), core.Broken},
		{"of an expired certificate", content, evmctlIMA(t, content, s.expired, "sha256"), core.Untrusted},
		{"of a certificate not valid yet", content, evmctlIMA(t, content, s.early, "sha256"), core.Untrusted},
		{"of a certificate for something else", content, evmctlIMA(t, content, s.encipher, "sha256"), core.Untrusted},
		{"of a short key", content, evmctlIMA(t, content, s.weak, "sha256"), core.Untrusted},
		{"over SHA-1", content, evmctlIMA(t, content, s.good, "sha1"), core.Untrusted},
		{"over SHA-1, file changed", flipped(content, 5), evmctlIMA(t, content, s.good, "sha1"), core.Broken},
	} {
		if got := only(t, c.content, labelled(c.label)); got.Standing != c.want || got.Reason == "" {
			t.Errorf("%s: %v (%s), expected %v", c.name, got.Standing, got.Reason, c.want)
		}
	}
}

func TestEveryByteOfAnIMASignatureCounts(t *testing.T) {
	s, content := cast(t), program()
	for _, label := range [][]byte{
		evmctlIMA(t, content, s.good, "sha256"), evmctlIMA(t, content, s.ec, "sha384"),
	} {
		for at := range label {
			if got := only(t, content, labelled(flipped(label, at))); got.Standing == core.Trusted {
				t.Errorf("accepted with byte %d flipped", at)
			}
		}
		for n := range label {
			if got := only(t, content, labelled(label[:n])); got.Standing == core.Trusted {
				t.Errorf("accepted with %d bytes of it", n)
			}
		}
	}
}

// A digest is not a signature: whoever can write to the file can write it.
func TestADigestIsNoSignature(t *testing.T) {
	content := program()
	for _, c := range []struct {
		name    string
		content []byte
		label   []byte
		want    core.Standing
	}{
		{"SHA-256", content, digestLabel(t, content, "sha256"), core.Untrusted},
		{"SHA-512", content, digestLabel(t, content, "sha512"), core.Untrusted},
		{"SHA-1", content, digestLabel(t, content, "sha1"), core.Untrusted},
		{"SHA-256, file changed", flipped(content, 9), digestLabel(t, content, "sha256"), core.Broken},
		{"SHA-1, file changed", flipped(content, 9), digestLabel(t, content, "sha1"), core.Broken},
		{"digest changed", content, flipped(digestLabel(t, content, "sha256"), 20), core.Broken},
		{"digest cut", content, digestLabel(t, content, "sha256")[:33], core.Broken},
		{"digest longer", content, append(digestLabel(t, content, "sha256"), 0), core.Broken},
		{"RIPEMD-160", content, append([]byte{4, 3}, make([]byte, 20)...), core.Untrusted},
		{"RIPEMD-160, cut", content, append([]byte{4, 3}, make([]byte, 19)...), core.Broken},
		{"no digest", content, []byte{4, 4}, core.Broken},
		{"no such algorithm", content, append([]byte{4, 99}, make([]byte, 32)...), core.Broken},
		{"MD5", content, append([]byte{1}, make([]byte, 16)...), core.Untrusted},
		{"MD5 of old", content, append([]byte{1}, append(bytes.Repeat([]byte{9}, 16), 0, 0, 0, 0)...), core.Untrusted},
		{"of no size", content, append([]byte{1}, make([]byte, 18)...), core.Broken},
	} {
		if got := only(t, c.content, labelled(c.label)); got.Standing != c.want || got.Reason == "" {
			t.Errorf("%s: %v (%s), expected %v", c.name, got.Standing, got.Reason, c.want)
		}
	}
}

// digestLabel is what evmctl ima_hash makes.
func digestLabel(t testing.TB, content []byte, algorithm string) []byte {
	t.Helper()
	path := write(t, content)
	run(t, "evmctl", "ima_hash", "-a", algorithm, path)
	return attributesOf(t, path)["security.ima"]
}

// attributesOf reads what a tool has set.
func attributesOf(t testing.TB, path string) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	for line := range strings.Lines(run(t, "getfattr", "--absolute-names", "-m", "^security[.]", "-d", "-e", "hex", path)) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), "=0x"); ok {
			all[name] = unhex(t, value)
		}
	}
	return all
}

// evmctl is the other verifier of the same attribute. Where it is content and
// we are not, the difference is meant and named here.
func TestTheSameVerdictAsEvmctl(t *testing.T) {
	s, content := cast(t), program()
	keys := s.keys()
	good, ec := evmctlIMA(t, content, s.good, "sha256"), evmctlIMA(t, content, s.ec, "sha256")
	for _, c := range []struct {
		name     string
		by       *trusttest.Entity
		content  []byte
		label    []byte
		stricter string // why we do not trust what evmctl accepts
	}{
		{"good", s.good, content, good, ""},
		{"SHA-512", s.good, content, evmctlIMA(t, content, s.good, "sha512"), ""},
		{"EC", s.ec, content, ec, ""},
		{"file changed", s.good, flipped(content, 1), good, ""},
		{"EC, file changed", s.ec, flipped(content, 1), ec, ""},
		{"file longer", s.good, append(bytes.Clone(content), 1), good, ""},
		{"signature changed", s.good, content, flipped(good, 100), ""},
		{"signature cut", s.good, content, good[:200], ""},
		{"key id changed", s.good, content, flipped(good, 5), ""},
		{"algorithm changed", s.good, content, join(good[:2], []byte{6}, good[3:]), ""},
		{"version 3", s.good, content, join([]byte{3, 3}, good[2:]), ""},
		{"other kind", s.good, content, join([]byte{5}, good[1:]), ""},
		{"expired", s.expired, content, evmctlIMA(t, content, s.expired, "sha256"), "evmctl looks at no dates"},
		{"not valid yet", s.early, content, evmctlIMA(t, content, s.early, "sha256"), "evmctl looks at no dates"},
		{"wrong usage", s.encipher, content, evmctlIMA(t, content, s.encipher, "sha256"), "evmctl looks at no key usage"},
		{"short key", s.weak, content, evmctlIMA(t, content, s.weak, "sha256"), "evmctl takes any size of key"},
		{"SHA-1", s.good, content, evmctlIMA(t, content, s.good, "sha1"), "evmctl takes SHA-1"},
	} {
		path := write(t, c.content)
		run(t, "setfattr", "-n", "security.ima", "-v", "0x"+hex.EncodeToString(c.label), path)
		theirs := accepts(t, "evmctl", "ima_verify", "--key", c.by.Files(t).DER, path)
		ours := judge(t, c.content, labelled(c.label), keys)[0]
		if want := theirs && c.stricter == ""; (ours.Standing == core.Trusted) != want || (c.stricter != "" && !theirs) {
			t.Errorf("%s: evmctl accepts: %t, here: %v (%s)", c.name, theirs, ours.Standing, ours.Reason)
		}
	}
}

// The clock is that of the keys.
func TestValidityIsJudgedByTheGivenClock(t *testing.T) {
	s, content := cast(t), program()
	label := evmctlIMA(t, content, s.ec, "sha256")
	for when, want := range map[time.Duration]core.Standing{0: core.Trusted, 48 * time.Hour: core.Untrusted, -48 * time.Hour: core.Untrusted} {
		keys := s.keys()
		keys.Now = func() time.Time { return time.Now().Add(when) }
		if got := judge(t, content, labelled(label), keys)[0]; got.Standing != want {
			t.Errorf("%v from now: %v, %s", when, got.Standing, got.Reason)
		}
	}
}

// evmctl names a key by its SHA-1 unless it is given a certificate; the kernel
// goes by the certificate.
func TestKeyIDOfTheKeyAndOfItsCertificate(t *testing.T) {
	s, content := cast(t), program()
	path, f := write(t, content), s.renamed.Files(t)
	byKey := unhex(t, lastLine(run(t, "evmctl", "ima_sign", "-n", "-a", "sha256", "--key", f.Key, path)))
	byCertificate := evmctlIMA(t, content, s.renamed, "sha256")
	if slices.Equal(byKey[3:7], byCertificate[3:7]) {
		t.Fatal("the two ids are one")
	}
	for _, label := range [][]byte{byKey, byCertificate} {
		if got := only(t, content, labelled(label)); got.Standing != core.Trusted || got.KeyID != hex.EncodeToString(label[3:7]) {
			t.Errorf("%+v", got)
		}
	}
}

func lastLine(out string) string {
	lines := strings.Split(strings.TrimSpace(out), "\n")
	return lines[len(lines)-1]
}

func TestWithoutKeysNobodyIsTrusted(t *testing.T) {
	s, content := cast(t), program()
	got := judge(t, content, labelled(evmctlIMA(t, content, s.good, "sha256")), ima.NewKeys(nil))
	if len(got) != 1 || got[0].Standing != core.Untrusted || got[0].Signer != "" {
		t.Errorf("%+v", got)
	}
}
