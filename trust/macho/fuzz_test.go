package macho

import (
	"bytes"
	"context"
	"slices"
	"testing"

	"kpm/core"
	"kpm/trust/trusttest"
)

// FuzzVerify: whatever the bytes, there is no panic and no error, and nobody
// but a signer is trusted. What is trusted is one of the seeds as it was, or
// differs in what nobody signs.
func FuzzVerify(f *testing.F) {
	a := anchors(f)
	plain := sign(f, minute(), signing{})
	signed := compact(f, plain, recipe{team: trusttest.TeamID, flags: flagRuntime})
	at := place(f, signed)
	for _, seed := range [][]byte{
		signed, minute(), compact(f, plain, recipe{kinds: []uint8{1, 2}}), compact(f, plain, recipe{adHoc: true, flags: flagAdHoc}),
		fat(false, member{arm64, 0, signed})[:0x100], signed[:at.offset+64], {0xca, 0xfe, 0xba, 0xbe, 0, 0, 0, 2}, {},
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		evidence, err := Verify(context.Background(), bytes.NewReader(data), int64(len(data)), a)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range evidence {
			if e.Reason == "" || e.Standing == core.Trusted && (e.Identifier == "" || len(e.Chain) == 0 || e.Signer == "") {
				t.Errorf("%+v", e)
			}
			if e.Standing == core.Trusted && !bytes.Contains(data, signed[0x200:at.offset]) {
				t.Errorf("code that nobody signed is trusted: %+v", e)
			}
		}
	})
}

// FuzzFatHeader: slices lie in the file, apart from each other.
func FuzzFatHeader(f *testing.F) {
	two := fat(false, member{arm64, 0, make([]byte, 64)}, member{amd64, 3, make([]byte, 64)})
	f.Add(two[:48], int64(len(two)), false)
	wide := fat(true, member{arm64, 0, make([]byte, 64)}, member{amd64, 3, make([]byte, 64)})
	f.Add(wide[:72], int64(len(wide)), true)
	f.Fuzz(func(t *testing.T, head []byte, size int64, wide bool) {
		if size < int64(len(head)) || size < fatHeaderSize {
			return
		}
		// Zeros follow the header, as far as anything asks.
		padded := append(slices.Clone(head), make([]byte, fatHeaderSize+maxSlices*fatArch64Size)...)
		file := file{r: bytes.NewReader(padded), size: size}
		found, err := file.slices(wide)
		if err != nil {
			return
		}
		end := int64(fatHeaderSize)
		for _, s := range byOffset(found) {
			if s.offset < end || s.size <= 0 || s.offset+s.size > size {
				t.Errorf("slice of %d bytes at %d of %d, after %d", s.size, s.offset, size, end)
			}
			end = s.offset + s.size
		}
	})
}

// FuzzSignature: what is accepted has a directory for the whole image, and no
// part that no hash covers.
func FuzzSignature(f *testing.F) {
	plain := sign(f, minute(), signing{})
	at := place(f, plain)
	for _, r := range []recipe{{team: trusttest.TeamID}, {kinds: []uint8{1, 2, 4}}, {adHoc: true, flags: flagAdHoc, page: -1},
		{version: versionLinkage, blobs: map[int][]byte{slotConstraints: makeBlob(magicConstraint, nil), slotEntitlementsD: makeBlob(magicEntitlementsD, derTrue("a"))}}} {
		f.Add(r.make(f, plain[:at.offset]), at.offset)
	}
	f.Fuzz(func(t *testing.T, data []byte, limit uint64) {
		sig, err := parseSignature(data, limit)
		if err != nil {
			return
		}
		for _, d := range sig.directories {
			if d.limit != limit || d.identifier == "" || len(d.code)%d.digest.size != 0 || len(d.cdHash()) != cdHashSize {
				t.Errorf("%+v", d)
			}
		}
		for slot, b := range sig.blobs {
			if slot > 0 && slot < slotAlternates && !bytes.Equal(sig.best.specialSlot(slot), sig.best.digest.sum(b.data)) {
				t.Errorf("slot %d is not covered", slot)
			}
		}
		_, _ = sig.requirements()
		readEntitlements(sig.content(slotEntitlements), sig.content(slotEntitlementsD))
	})
}

// FuzzRequirement: what parses can be printed, and met and not met at once by
// nothing.
func FuzzRequirement(f *testing.F) {
	for _, c := range []code{op(opTrue), op(opAnd, op(opAppleGenericAnchor), op(opNot, op(opIdentifier, str("a")))),
		op(opCertField, number(0), str("subject.OU"), op(matchEqual, str("x"))), op(opCertGeneric, number(-1), oidOf(1, 2, 3), op(matchAbsent)),
		op(opInfoKeyField, str("k"), op(matchLessThan, str("1.10"))), op(0x80000063, str("?")), op(0x40000063, str("?"), op(opFalse)),
		op(opCertFieldDate, number(1), oidOf(1, 2, 3), op(matchOn, number(0), number(9))), op(opPlatform, number(1))} {
		f.Add([]byte(c))
	}
	s := subjectFor(f)
	f.Fuzz(func(t *testing.T, expression []byte) {
		r, err := ParseRequirement(requirementBlob(expression))
		if err != nil {
			return
		}
		if r.String() == "" {
			t.Error("it has no text")
		}
		opposite, err := ParseRequirement(requirementBlob(op(opNot, expression)))
		if err != nil {
			return // nested one too deeply
		}
		if r.Match(s) && opposite.Match(s) {
			t.Errorf("%s is met, and so is its opposite", r)
		}
		if r.Match(Subject{Identifier: "\x00"}) && r.unknown != nil {
			t.Errorf("%s is met", r)
		}
	})
}

// FuzzPropertyList: both readers end, and what they read can be compared.
func FuzzPropertyList(f *testing.F) {
	f.Add(plistOf("<key>a</key><array><true/><data>YQ==</data></array>"), derTrue("a"))
	f.Fuzz(func(t *testing.T, text, der []byte) {
		if e := readEntitlements(text, der); e.fault == "" && e.values == nil {
			t.Errorf("%+v", e)
		}
	})
}
