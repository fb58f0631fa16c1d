package authenticode

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"

	"kpm/core"
	"kpm/trust/trusttest"
)

// Offsets in a handmade PE32+ image.
const (
	coffAt     = 0x80
	optionalAt = coffAt + coffSize
	entryAt    = optionalAt + directoriesPE32Plus + certificateEntry*directorySize
	sectionsAt = optionalAt + directoriesPE32Plus + 16*directorySize
	textAt     = handmadeHeaders
	dataAt     = textAt + 0x200
	overlayAt  = dataAt + 0x200
)

var victim = handmade{plus: true, sections: 2, overlay: 16}

// The outcomes of a manipulation. Nothing but harmless leaves the file Trusted.
const (
	broken   = "broken"   // evidence says that the file or the signature was changed
	none     = "none"     // the file no longer claims to be signed, or to be a program
	harmless = "harmless" // nothing that is signed was changed
)

// tampering is one thing that can be done to a signed image.
type tampering struct {
	name   string
	want   string
	change func(b []byte) []byte
	// foreign is osslsigncode's different opinion, and why.
	foreign string
}

// put overwrites bytes.
func put(at int, with ...byte) func([]byte) []byte {
	return func(b []byte) []byte { copy(b[at:], with); return b }
}

func flip(at int) func([]byte) []byte {
	return func(b []byte) []byte { b[at] ^= 0x10; return b }
}

func put32(at int, n uint32) func([]byte) []byte {
	return func(b []byte) []byte { binary.LittleEndian.PutUint32(b[at:], n); return b }
}

// moved moves the certificate table as far as the directory says.
func moved(at, size func(at, size int) int) func([]byte) []byte {
	return func(b []byte) []byte {
		le := binary.LittleEndian
		a, n := int(le.Uint32(b[entryAt:])), int(le.Uint32(b[entryAt+4:]))
		return relocate(b, at(a, n), size(a, n))
	}
}

func same(at bool) func(at, size int) int {
	return func(a, n int) int {
		if at {
			return a
		}
		return n
	}
}

func fixed(n int) func(at, size int) int { return func(int, int) int { return n } }
func plus(at bool, d int) func(at, size int) int {
	return func(a, n int) int { return same(at)(a, n) + d }
}

// reseal keeps the image and writes other certificates into its table.
func reseal(t testing.TB, entries func(blob []byte) []byte) func([]byte) []byte {
	return func(b []byte) []byte {
		table := entries(blob(t, b))
		b = append(bare(t, b), table...)
		return relocate(b, dissect(t, b).table, len(table))
	}
}

func imageTamperings(t testing.TB, other []byte) []tampering {
	payload := bytes.Repeat([]byte("payload!"), 64)
	win := func(blob []byte) []byte { return winCertificate(revision2, pkcsSignedData, blob) }
	header := func(at int, b ...byte) func([]byte) []byte {
		return func(f []byte) []byte { copy(f[dissect(t, f).table+at:], b); return f }
	}
	return []tampering{
		{name: "DOS magic", want: none, change: flip(0)},
		{name: "DOS header", want: broken, change: flip(2)},
		{name: "PE header elsewhere", want: none, change: put(dosHeaderNew, 0x88)},
		{name: "PE header beyond the end", want: none, change: put32(dosHeaderNew, 0xfffffff0)},
		{name: "DOS stub", want: broken, change: flip(0x48)},
		{name: "PE magic", want: none, change: flip(coffAt)},
		{name: "machine", want: broken, change: flip(coffAt + 4)},
		{name: "one section fewer", want: broken, change: put(coffAt+coffSections, 1)},
		{name: "one section more", want: broken, change: put(coffAt+coffSections, 3)},
		{name: "65535 sections", want: broken, change: put(coffAt+coffSections, 0xff, 0xff)},
		{name: "no section", want: broken, change: put(coffAt+coffSections, 0, 0)},
		{name: "link time", want: broken, change: flip(coffAt + 8)},
		{name: "short optional header", want: broken, change: put(coffAt+coffOptionalSize, 0x70, 0)},
		{name: "empty optional header", want: broken, change: put(coffAt+coffOptionalSize, 0, 0)},
		{name: "long optional header", want: broken, change: put(coffAt+coffOptionalSize, 0xff, 0xff)},
		{name: "characteristics", want: broken, change: flip(coffAt + 22)},
		{name: "PE32 instead of PE32+", want: none, change: put(optionalAt, 0x0b, 0x01)},
		{name: "unknown optional header", want: none, change: put(optionalAt, 0x07, 0x01)},
		{name: "entry point", want: broken, change: flip(optionalAt + 16)},
		{name: "image base", want: broken, change: flip(optionalAt + 24)},
		{name: "section alignment", want: broken, change: flip(optionalAt + optionalAlignment)},
		{name: "file alignment", want: broken, change: flip(optionalAt + optionalAlignment + 4)},
		{name: "image size", want: broken, change: flip(optionalAt + 56)},
		{name: "headers size 0", want: broken, change: put32(optionalAt+optionalHeaders, 0)},
		{name: "headers size beyond the end", want: broken, change: put32(optionalAt+optionalHeaders, 0xffffffff)},
		{name: "checksum", want: harmless, change: flip(optionalAt + optionalChecksum)},
		{name: "no checksum", want: harmless, change: put32(optionalAt+optionalChecksum, 0)},
		{name: "subsystem", want: broken, change: flip(optionalAt + 68)},
		{name: "stack size", want: broken, change: flip(optionalAt + 72)},
		{name: "4 directories", want: none, change: put32(optionalAt+directoriesPE32Plus-4, 4)},
		{name: "no directories", want: none, change: put32(optionalAt+directoriesPE32Plus-4, 0)},
		{name: "too many directories", want: broken, change: put32(optionalAt+directoriesPE32Plus-4, 0xffffffff)},
		{name: "import directory", want: broken, change: put32(optionalAt+directoriesPE32Plus+8, 0x2000)},
		{name: "export directory", want: broken, change: put32(optionalAt+directoriesPE32Plus, 0x2000)},
		{name: "section name", want: broken, change: flip(sectionsAt)},
		{name: "section address", want: broken, change: flip(sectionsAt + 13)},
		{name: "section's raw data elsewhere", want: broken, change: put32(sectionsAt+sectionRaw, dataAt)},
		{name: "section's raw data in the headers", want: broken, change: put32(sectionsAt+sectionRaw, 0x100)},
		{name: "section's raw data beyond the end", want: broken, change: put32(sectionsAt+sectionRaw, 0xfffffe00)},
		{name: "section's raw data is the signature", want: broken, change: func(b []byte) []byte {
			return put32(sectionsAt+sectionRaw, uint32(dissect(t, b).table))(b)
		}},
		{name: "section longer than the file", want: broken, change: put32(sectionsAt+sectionSize+sectionRawSize, 0xffffffff)},
		{name: "section permissions", want: broken, change: flip(sectionsAt + 36)},
		{name: "after the section table", want: broken, change: flip(sectionsAt + 2*sectionSize + 3)},
		{name: "first byte of code", want: broken, change: flip(textAt)},
		{name: "last byte of code", want: broken, change: flip(dataAt - 1)},
		{name: "first byte of data", want: broken, change: flip(dataAt)},
		{name: "last byte of data", want: broken, change: flip(overlayAt - 1)},
		{name: "overlay", want: broken, change: flip(overlayAt + 3)},
		{name: "last byte before the table", want: broken, change: flip(overlayAt + 15)},
		{name: "sections swapped", want: broken, change: func(b []byte) []byte {
			return slices.Concat(b[:textAt], b[dataAt:overlayAt], b[textAt:dataAt], b[overlayAt:])
		}},
		{name: "8 bytes more overlay", want: broken, change: func(b []byte) []byte {
			b = slices.Insert(b, overlayAt, payload[:8]...)
			return moved(plus(true, 8), same(false))(b)
		}},
		{name: "overlay cut out", want: broken, change: func(b []byte) []byte {
			b = slices.Delete(b, overlayAt, overlayAt+16)
			return moved(plus(true, -16), same(false))(b)
		}},

		{name: "table at 0", want: broken, change: moved(fixed(0), same(false))},
		{name: "table of size 0", want: broken, change: moved(same(true), fixed(0))},
		{name: "table taken out of the directory", want: none, change: moved(fixed(0), fixed(0))},
		{name: "table cut off", want: broken, change: func(b []byte) []byte { return bare(t, b) }},
		{name: "table removed", want: none, change: func(b []byte) []byte { return relocate(bare(t, b), 0, 0) }},
		{name: "table longer than the file", want: broken, change: moved(same(true), plus(false, 8))},
		{name: "table of 4 GiB", want: broken, change: moved(same(true), fixed(0xffffffff))},
		{name: "table shorter than it is", want: broken, change: moved(same(true), plus(false, -8))},
		{name: "table too small for a signature", want: broken, change: moved(same(true), fixed(7))},
		{name: "table beyond the end", want: broken, change: moved(fixed(0xfffffff8), same(false))},
		{name: "table over the overlay", want: broken, change: moved(plus(true, -8), plus(false, 8))},
		{name: "table over the code", want: broken, change: moved(fixed(textAt), func(a, n int) int { return a + n - textAt })},
		{name: "table over the headers", want: broken, change: moved(fixed(sectionsAt), func(a, n int) int { return a + n - sectionsAt })},
		{name: "table is the whole file", want: broken, change: moved(fixed(8), func(a, n int) int { return a + n - 8 })},
		{name: "table over the last section", want: broken, change: func(b []byte) []byte {
			s := blob(t, b)
			b = append(bare(t, b)[:dataAt], winCertificate(revision2, pkcsSignedData, s)...)
			return relocate(b, dataAt, len(b)-dataAt)
		}},
		{name: "table not on a multiple of 8", want: broken, change: func(b []byte) []byte {
			return moved(plus(true, 4), same(false))(slices.Insert(b, dissect(t, b).table, 0, 0, 0, 0))
		}},
		{name: "table moved behind a payload", want: broken, change: func(b []byte) []byte {
			return moved(plus(true, len(payload)), same(false))(slices.Insert(b, dissect(t, b).table, payload...))
		}},
		{name: "table copied to the end", want: broken, change: func(b []byte) []byte {
			table := b[dissect(t, b).table:]
			return moved(plus(true, len(table)), same(false))(append(bytes.Clone(b), table...))
		}},

		{name: "1 byte appended", want: broken, change: func(b []byte) []byte { return append(b, 'x') }},
		{name: "zeros appended", want: broken, change: func(b []byte) []byte { return append(b, make([]byte, 8)...) }},
		{name: "payload appended", want: broken, change: func(b []byte) []byte { return append(b, payload...) }},
		{name: "payload appended to the table", want: broken, change: func(b []byte) []byte {
			return moved(same(true), plus(false, len(payload)))(append(b, payload...))
		}},
		{name: "zeros appended to the table", want: broken, change: func(b []byte) []byte {
			return moved(same(true), plus(false, 8))(append(b, make([]byte, 8)...))
		}},
		{name: "3 bytes appended to the table", want: broken, change: func(b []byte) []byte {
			return moved(same(true), plus(false, 3))(append(b, 0, 0, 0))
		}},
		{name: "payload inside the certificate (MS13-098)", want: broken,
			foreign: "osslsigncode, like Windows without EnableCertPaddingCheck, does not mind what follows the signature inside its certificate",
			change:  reseal(t, func(s []byte) []byte { return win(append(s, payload...)) })},
		{name: "payload behind zeros inside the certificate", want: broken,
			foreign: "the same",
			change:  reseal(t, func(s []byte) []byte { return win(slices.Concat(s, make([]byte, 64), payload)) })},
		{name: "8 zeros too many inside the certificate", want: broken,
			foreign: "the same",
			change:  reseal(t, func(s []byte) []byte { return win(append(s, make([]byte, 8+(-len(s)&7))...)) })},
		{name: "padding is not zero", want: broken,
			foreign: "the same",
			change:  reseal(t, func(s []byte) []byte { return win(append(s, 1)) })},
		{name: "padding outside the certificate", want: harmless,
			change: reseal(t, func(s []byte) []byte { return besides(odd(t, s), 0) })},
		{name: "padding outside the certificate is not zero", want: broken,
			foreign: "the same",
			change:  reseal(t, func(s []byte) []byte { return besides(odd(t, s), 1) })},
		{name: "certificate of no length", want: broken, change: header(0, 0, 0, 0, 0)},
		{name: "certificate of 7 bytes", want: broken, change: header(0, 7, 0, 0, 0)},
		{name: "certificate of 8 bytes", want: broken, change: header(0, 8, 0, 0, 0)},
		{name: "certificate of 4 GiB", want: broken, change: header(0, 0xff, 0xff, 0xff, 0xff)},
		{name: "certificate shorter than its signature", want: broken, change: header(0, 0x40, 0, 0, 0)},
		{name: "certificate of revision 1", want: broken, change: header(4, 0, 1)},
		{name: "certificate of revision 0", want: broken, change: header(4, 0, 0)},
		{name: "certificate of type X.509", want: broken, change: header(6, 1, 0)},
		{name: "certificate of a reserved type", want: broken, change: header(6, 3, 0)},
		{name: "certificate of type TS_STACK", want: broken, change: header(6, 4, 0)},
		{name: "certificate without signature", want: broken, change: reseal(t, func([]byte) []byte { return win(nil) })},
		{name: "payload as a second certificate", want: broken,
			change: reseal(t, func(s []byte) []byte { return slices.Concat(win(s), winCertificate(revision2, 1, payload)) })},
		{name: "payload as a second signature", want: broken,
			change: reseal(t, func(s []byte) []byte { return slices.Concat(win(s), win(payload)) })},
		{name: "another file's as a second signature", want: broken,
			change: reseal(t, func(s []byte) []byte { return slices.Concat(win(s), win(other)) })},
		{name: "another file's as the first signature", want: broken,
			change: reseal(t, func(s []byte) []byte { return slices.Concat(win(other), win(s)) })},
		{name: "the signature twice", want: harmless,
			foreign: "osslsigncode wants the table to be one certificate long",
			change:  reseal(t, func(s []byte) []byte { return slices.Concat(win(s), win(s)) })},
		{name: "17 signatures", want: broken, change: reseal(t, func(s []byte) []byte { return bytes.Repeat(win(s), 17) })},
		{name: "another file's signature", want: broken, change: reseal(t, func([]byte) []byte { return win(other) })},
		{name: "no signature but noise", want: broken, change: reseal(t, func([]byte) []byte { return win(payload) })},

		{name: "empty", want: none, change: func([]byte) []byte { return nil }},
		{name: "1 byte", want: none, change: func(b []byte) []byte { return b[:1] }},
		{name: "DOS header only", want: none, change: func(b []byte) []byte { return b[:dosHeaderSize] }},
		{name: "cut in the PE header", want: none, change: func(b []byte) []byte { return b[:coffAt+30] }},
		{name: "cut before the directories", want: broken, change: func(b []byte) []byte { return b[:entryAt-24] }},
		{name: "cut in the directory entry", want: broken, change: func(b []byte) []byte { return b[:entryAt+6] }},
		{name: "cut in the section table", want: broken, change: func(b []byte) []byte { return b[:sectionsAt+20] }},
		{name: "cut in the code", want: broken, change: func(b []byte) []byte { return b[:textAt+20] }},
		{name: "cut in the certificate's header", want: broken, change: func(b []byte) []byte { return b[:dissect(t, b).table+5] }},
		{name: "cut in the signature", want: broken, change: func(b []byte) []byte { return b[:len(b)-100] }},
		{name: "last byte cut off", want: broken, change: func(b []byte) []byte { return b[:len(b)-1] }},
	}
}

// odd is a signature whose length is not a multiple of 8.
func odd(t testing.TB, s []byte) []byte {
	t.Helper()
	if len(s)%8 != 0 {
		return s
	}
	m := parse(t, s)
	add(m.at(signerInfo...), tagged(1, attribute([]int{1, 2, 3}, null())))
	if s = m.der(t); len(s)%8 == 0 {
		t.Fatal("still even")
	}
	return s
}

// besides is an entry of a table whose length leaves out the padding.
func besides(s []byte, padding byte) []byte {
	b := winCertificate(revision2, pkcsSignedData, s)
	end := winCertificateHeader + len(s)
	copy(b, le32(nil, end))
	for i := range b[end:] {
		b[end+i] = padding
	}
	return b
}

func TestNoTamperedImageIsTrusted(t *testing.T) {
	pki := trusttest.New(t)
	good := pki.Get(trusttest.Good)
	image := sign(t, good, ".exe", victim.bytes())
	elsewhere := victim
	elsewhere.fill = 7
	other := blob(t, sign(t, good, ".exe", elsewhere.bytes()))
	foreign := newPeer(t, pki)
	table := imageTamperings(t, other)
	for _, x := range append(table, tampering{name: "nothing", want: harmless, change: func(b []byte) []byte { return b }}) {
		changed := x.change(bytes.Clone(image))
		_, evidence := verify(t, pki.Anchors(), changed)
		if got := outcome(evidence); got != x.want {
			t.Errorf("%s: %s, want %s: %+v", x.name, got, x.want, evidence)
		}
		accepted, printed := foreign.accepts(t, ".exe", changed)
		if agreed := accepted == (x.want == harmless); agreed == (x.foreign != "") {
			t.Errorf("%s: osslsigncode accepts: %v (%q)\n%s", x.name, accepted, x.foreign, printed)
		}
	}
	t.Logf("%d manipulations", len(table))
}

func outcome(evidence []core.Evidence) string {
	switch {
	case len(evidence) == 0:
		return none
	case standing(evidence) == core.Trusted:
		return harmless
	case standing(evidence) == core.Broken:
		return broken
	}
	return "untrusted"
}
